import { Activity, Bot, Cable, UserRound } from "lucide-react";
import { Suspense, type ReactNode } from "react";
import { Link, NavLink } from "react-router";

import { Bone } from "./Bone";
import { ErrorBoundary } from "./ErrorBoundary";
import { Wordmark } from "./Wordmark";
import "./shell.css";

const places = [
  { to: "/connections", name: "Connections", Icon: Cable },
  { to: "/agents", name: "Agents", Icon: Bot },
  { to: "/activity", name: "Activity", Icon: Activity },
  { to: "/account", name: "Account", Icon: UserRound },
];

/** The rail, the header and the one column that every page is in. */
export function Shell({ head, children }: { head: ReactNode; children: ReactNode }) {
  return (
    <div className="shell">
      <a className="skip" href="#content">
        Skip to content
      </a>
      <nav className="rail" aria-label="Main">
        <Link to="/connections" className="rail-mark" aria-label="Keybearer, home">
          <Wordmark />
        </Link>
        <ul className="places">
          {places.map(({ to, name, Icon }) => (
            <li key={to}>
              <NavLink to={to}>
                <Icon className="icon" aria-hidden />
                <span>{name}</span>
              </NavLink>
            </li>
          ))}
        </ul>
      </nav>
      <header className="head">
        <Link to="/connections" className="head-mark" aria-label="Keybearer, home">
          <Wordmark />
        </Link>
        {head}
      </header>
      <main className="content" id="content" tabIndex={-1}>
        <ErrorBoundary>
          <Suspense fallback={<PageWaiting />}>
            {children}
          </Suspense>
        </ErrorBoundary>
      </main>
    </div>
  );
}

export function PageWaiting() {
  return (
    <div className="page" role="status" aria-label="Loading the page">
      <div className="page-head">
        <Bone shape="w3" />
      </div>
      <Bone shape="tall" />
      <Bone shape="tall" />
    </div>
  );
}
