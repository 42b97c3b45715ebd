export { AppDrawer } from "./AppDrawer";
export { CodesDrawer } from "./CodesDrawer";
export { PasskeyDrawer } from "./PasskeyDrawer";
export { PasswordDrawer } from "./PasswordDrawer";
