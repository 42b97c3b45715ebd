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

const SignInPage = lazy(() => import("./signin/SignInPage"));
const SignInProblemPage = lazy(() => import("./signin/SignInProblemPage"));
const SignedIn = lazy(() => import("./SignedIn"));
const ConnectionsPage = lazy(() => import("./connections/ConnectionsPage"));
const ConnectionDrawer = lazy(() => import("./connections/ConnectionDrawer"));
const ConnectDrawer = lazy(() => import("./connections/ConnectDrawer"));
const AgentsPage = lazy(() => import("./grants/AgentsPage"));
const GrantDrawer = lazy(() => import("./grants/GrantDrawer"));
const NewGrantDrawer = lazy(() => import("./grants/NewGrantDrawer"));
const ActivityPage = lazy(() => import("./ledger/ActivityPage"));
const EntryDrawer = lazy(() => import("./ledger/EntryDrawer"));
const AccountPage = lazy(() => import("./sessions/AccountPage"));

function App() {
  return (
    <Routes>
      <Route path="/" element={<Navigate to="/connections" replace />} />
      <Route path="/sign-in" element={<SignInPage />} />
      <Route path="/sign-in/problem" element={<SignInProblemPage />} />
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
        <Route path="/account" element={<AccountPage />} />
      </Route>
      <Route path="*" element={<NotFound />} />
    </Routes>
  );
}

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
