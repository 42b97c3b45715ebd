import { useNavigate } from "react-router";

import { useConnections } from "../connections/queries";
import { Button } from "../kit/Button";
import { Drawer } from "../kit/Drawer";
import { ProblemNote } from "../kit/ProblemNote";
import { RowsWaiting } from "../kit/Waiting";
import { GrantForm } from "./GrantForm";
import { GrantSecret } from "./GrantSecret";
import { useCreateGrant } from "./queries";

/** The grant that was created stays in this component alone, and is gone when the drawer closes. */
export function NewGrantDrawer() {
  const navigate = useNavigate();
  const create = useCreateGrant();
  const connections = useConnections();
  const close = () => void navigate("/agents");
  if (create.data) return <GrantSecret created={create.data} onClose={close} />;
  const usable = connections.data?.items.filter(({ state }) => state !== "revoked");
  return (
    <Drawer title="Create a grant" onClose={close}>
      {connections.error ? (
        <ProblemNote error={connections.error} onRetry={() => void connections.refetch()} />
      ) : usable === undefined ? (
        <RowsWaiting what="connections" rows={2} />
      ) : usable.length === 0 ? (
        <div className="stack">
          <p>
            <strong>There is nothing to grant yet.</strong>
          </p>
          <p className="muted">A grant lets an agent act through accounts that you have connected. Connect one first.</p>
          <p>
            <Button look="primary" onPress={() => void navigate("/connections")}>
              Go to connections
            </Button>
          </p>
        </div>
      ) : (
        <GrantForm connections={usable} create={create} />
      )}
    </Drawer>
  );
}
