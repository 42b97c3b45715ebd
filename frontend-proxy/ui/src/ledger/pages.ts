export { ActivityPage } from "./ActivityPage";
export { EntryDrawer } from "./EntryDrawer";
