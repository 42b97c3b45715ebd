import type { Grant } from "../api/types";
import { Confirm } from "../kit/Confirm";
import { list } from "../kit/words";
import { useRevokeGrant } from "./queries";

interface Props {
  grant: Grant;
  label?: string;
  onGone?: () => void;
}

export function RevokeGrant({ grant: { id, agent, connections }, label, onGone }: Props) {
  const revoke = useRevokeGrant();
  const reach = list([...new Set(connections.map(({ title }) => title))]);
  return (
    <Confirm
      verb={`Revoke ${agent}`}
      {...(label !== undefined && { label, size: "small" as const })}
      question={`Revoke the grant of ${agent}?`}
      pending={revoke.isPending}
      error={revoke.error}
      onOpen={() => revoke.reset()}
      onConfirm={() => {
        revoke.mutateAsync(id).then(onGone, () => undefined);
      }}
    >
      <p>
        <strong>
          {agent} loses {reach === "" ? "its grant" : reach} at once.
        </strong>
      </p>
      <p className="muted small">Its next call is refused, and the program is told why. To let it act again, create another grant.</p>
    </Confirm>
  );
}
