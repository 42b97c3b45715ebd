import { useLocation, useNavigate } from "react-router";

import { Button } from "../kit/Button";
import { Note } from "../kit/ProblemNote";

/** What the act before this page came to. It is gone with the next navigation. */
export function ToldNote() {
  const { state, pathname } = useLocation() as { state: unknown; pathname: string };
  const navigate = useNavigate();
  const told = typeof state === "object" && state !== null && "told" in state && typeof state.told === "string" ? state.told : null;
  if (told === null) return null;
  return (
    <Note
      tone="plain"
      action={
        <Button size="small" look="quiet" onPress={() => void navigate(pathname, { replace: true })}>
          Dismiss
        </Button>
      }
    >
      {told}
    </Note>
  );
}
