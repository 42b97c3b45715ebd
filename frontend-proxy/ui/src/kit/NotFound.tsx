import { Link } from "react-router";

import { Wordmark } from "./Wordmark";
import "./shell.css";

export function NotFound() {
  return (
    <main className="alone">
      <title>Not found · Keybearer</title>
      <Wordmark />
      <h1>Nothing is at this address</h1>
      <p className="lead">The link may be old, or what it led to is gone. Nothing was changed.</p>
      <p>
        <Link to="/connections">Go to your connections</Link>
      </p>
      <p className="fine faint">
        <code>page_not_found</code>
      </p>
    </main>
  );
}
