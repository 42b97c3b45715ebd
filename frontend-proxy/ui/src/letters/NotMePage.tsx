import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link } from "react-router";

import { post } from "../api/http";
import { keys } from "../api/keys";
import type { Reported } from "../api/types";
import { Button } from "../kit/Button";
import { Note, ProblemNote } from "../kit/ProblemNote";
import { Card, useToken } from "./Card";

export function NotMePage() {
  const token = useToken();
  return <NotMe key={token} token={token} />;
}

function NotMe({ token }: { token: string | null }) {
  const client = useQueryClient();
  const report = useMutation({
    mutationFn: (shown: string) => post<Reported>("/auth/not-me", { token: shown }),
    onSuccess: () => client.invalidateQueries({ queryKey: keys.me }),
  });
  if (report.isSuccess) {
    return report.data.password_reset_needed ? (
      <Card title="They are out" lead="Every session ended, and the password lets nobody in any more. Choose another one, then look through your API keys and grants.">
        <Link className="button primary large" to="/reset-password">
          Choose a new password
        </Link>
      </Card>
    ) : (
      <Card
        title="They are out"
        lead="Every session ended. Change the password of the account that you sign in with, at the provider, then look through your API keys and grants."
      />
    );
  }
  return (
    <Card title="It was not you?" lead="Every session of yours ends, on every device, and your password lets nobody in until you choose another one.">
      {token === null && <Note tone="amber">Open this page through the link in the mail: it says whose account it is.</Note>}
      {report.error && <ProblemNote error={report.error} />}
      <Button
        look="danger"
        size="large"
        isDisabled={token === null}
        isPending={report.isPending}
        onPress={() => {
          if (token !== null) report.mutate(token);
        }}
      >
        End every session
      </Button>
    </Card>
  );
}
