export { ConnectDrawer } from "./ConnectDrawer";
export { ConnectionDrawer } from "./ConnectionDrawer";
export { ConnectionsPage } from "./ConnectionsPage";
