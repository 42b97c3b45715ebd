import "@fontsource-variable/inter/index.css";
import "./kit/tokens.css";
import "./kit/base.css";

import { QueryClientProvider } from "@tanstack/react-query";
import { lazy, StrictMode, Suspense } from "react";
import { createRoot } from "react-dom/client";
import { BrowserRouter, Navigate, Route, Routes } from "react-router";

import { createClient } from "./api/client";
import { ErrorBoundary } from "./kit/ErrorBoundary";
import { NotFound } from "./kit/NotFound";
import { SignedIn } from "./SignedIn";

// One file for each domain: a page and its drawers are never far from each other.
const signin = () => import("./signin/pages");
const letters = () => import("./letters/pages");
const connections = () => import("./connections/pages");
const grants = () => import("./grants/pages");
const ledger = () => import("./ledger/pages");
const factors = () => import("./factors/pages");
const sessions = () => import("./sessions/pages");

const SignInPage = lazy(() => signin().then((pages) => ({ default: pages.SignInPage })));
const SignInProblemPage = lazy(() => signin().then((pages) => ({ default: pages.SignInProblemPage })));
const VerifyEmailPage = lazy(() => letters().then((pages) => ({ default: pages.VerifyEmailPage })));
const ResetPasswordPage = lazy(() => letters().then((pages) => ({ default: pages.ResetPasswordPage })));
const NotMePage = lazy(() => letters().then((pages) => ({ default: pages.NotMePage })));
const RegisterPage = lazy(() => letters().then((pages) => ({ default: pages.RegisterPage })));
const ConnectionsPage = lazy(() => connections().then((pages) => ({ default: pages.ConnectionsPage })));
const ConnectionDrawer = lazy(() => connections().then((pages) => ({ default: pages.ConnectionDrawer })));
const ConnectDrawer = lazy(() => connections().then((pages) => ({ default: pages.ConnectDrawer })));
const AgentsPage = lazy(() => grants().then((pages) => ({ default: pages.AgentsPage })));
const GrantDrawer = lazy(() => grants().then((pages) => ({ default: pages.GrantDrawer })));
const NewGrantDrawer = lazy(() => grants().then((pages) => ({ default: pages.NewGrantDrawer })));
const ActivityPage = lazy(() => ledger().then((pages) => ({ default: pages.ActivityPage })));
const EntryDrawer = lazy(() => ledger().then((pages) => ({ default: pages.EntryDrawer })));
const AppDrawer = lazy(() => factors().then((pages) => ({ default: pages.AppDrawer })));
const PasskeyDrawer = lazy(() => factors().then((pages) => ({ default: pages.PasskeyDrawer })));
const CodesDrawer = lazy(() => factors().then((pages) => ({ default: pages.CodesDrawer })));
const PasswordDrawer = lazy(() => factors().then((pages) => ({ default: pages.PasswordDrawer })));
const AccountPage = lazy(() => sessions().then((pages) => ({ default: pages.AccountPage })));

/** The page's own code comes while the API says who is signed in, not after. */
function fetchAhead(path: string): void {
  const first = path.split("/")[1] ?? "";
  const known: Record<string, () => Promise<unknown>> = {
    "sign-in": signin,
    "verify-email": letters,
    "reset-password": letters,
    "not-me": letters,
    register: letters,
    agents: grants,
    activity: ledger,
    account: sessions,
  };
  const code = known[first] ?? connections;
  // A code file that does not come is told by the page that needs it.
  code().catch(() => undefined);
}

function App() {
  return (
    <Routes>
      <Route path="/" element={<Navigate to="/connections" replace />} />
      <Route path="/sign-in" element={<SignInPage />} />
      <Route path="/sign-in/problem" element={<SignInProblemPage />} />
      <Route path="/register" element={<RegisterPage />} />
      <Route path="/verify-email" element={<VerifyEmailPage />} />
      <Route path="/reset-password" element={<ResetPasswordPage />} />
      <Route path="/not-me" element={<NotMePage />} />
      <Route element={<SignedIn />}>
        <Route path="/connections" element={<ConnectionsPage />}>
          <Route path="connect/:provider" element={<ConnectDrawer />} />
          <Route path=":id" element={<ConnectionDrawer />} />
        </Route>
        <Route path="/agents" element={<AgentsPage />}>
          <Route path="new" element={<NewGrantDrawer />} />
          <Route path=":id" element={<GrantDrawer />} />
        </Route>
        <Route path="/activity" element={<ActivityPage />}>
          <Route path=":id" element={<EntryDrawer />} />
        </Route>
        <Route path="/account" element={<AccountPage />}>
          <Route path="authenticator" element={<AppDrawer />} />
          <Route path="passkey" element={<PasskeyDrawer />} />
          <Route path="recovery-codes" element={<CodesDrawer />} />
          <Route path="password" element={<PasswordDrawer />} />
        </Route>
      </Route>
      <Route path="*" element={<NotFound />} />
    </Routes>
  );
}

fetchAhead(window.location.pathname);
const root = document.getElementById("root");
if (root === null) throw new Error("index.html has lost its root");
createRoot(root).render(
  <StrictMode>
    <QueryClientProvider client={createClient()}>
      <BrowserRouter>
        <ErrorBoundary>
          <Suspense fallback={null}>
            <App />
          </Suspense>
        </ErrorBoundary>
      </BrowserRouter>
    </QueryClientProvider>
  </StrictMode>,
);
