import { useEffect, useState, type ReactNode } from "react";
import { Link, useLocation, useNavigate } from "react-router";

import { Wordmark } from "../kit/Wordmark";
import { tokenIn } from "./token";
import "../kit/shell.css";
import "../signin/signin.css";

interface Props {
  title: string;
  lead: ReactNode;
  children?: ReactNode;
}

/** A page that a mail leads to, or one before a mail is sent: one question, and the way back. */
export function Card({ title, lead, children }: Props) {
  return (
    <main className="signin">
      <title>{`${title} · Keybearer`}</title>
      <div className="signin-card">
        <Wordmark />
        <div className="signin-words">
          <h1>{title}</h1>
          <p className="lead">{lead}</p>
        </div>
        {children}
        <Link className="button quiet" to="/sign-in">
          Back to sign-in
        </Link>
      </div>
    </main>
  );
}

/** What the link brought. It is taken out of the address bar at once, so that it is in no history and no screenshot. */
export function useToken(): string | null {
  const { hash, pathname } = useLocation();
  const navigate = useNavigate();
  const found = tokenIn(hash);
  const [token, setToken] = useState(found);
  // A link may be opened in a tab that shows the page already.
  if (found !== null && found !== token) setToken(found);
  useEffect(() => {
    if (hash !== "") void navigate(pathname, { replace: true });
  }, [hash, pathname, navigate]);
  return token;
}
