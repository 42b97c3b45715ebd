export { SignInPage } from "./SignInPage";
export { SignInProblemPage } from "./SignInProblemPage";
