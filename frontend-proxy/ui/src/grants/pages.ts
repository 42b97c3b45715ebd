export { AgentsPage } from "./AgentsPage";
export { GrantDrawer } from "./GrantDrawer";
export { NewGrantDrawer } from "./NewGrantDrawer";
