import { LifeBuoy } from "lucide-react";
import { useNavigate } from "react-router";

import { Button } from "../kit/Button";
import { Drawer } from "../kit/Drawer";
import { ProblemNote } from "../kit/ProblemNote";
import { count } from "../kit/words";
import { CodesShown } from "./CodesShown";
import { useFactors, useNewCodes } from "./queries";

export function CodesDrawer() {
  const navigate = useNavigate();
  const renew = useNewCodes();
  const left = useFactors().data?.recovery_codes_left ?? 0;
  const close = () => void navigate("/account");
  if (renew.data) return <CodesShown codes={renew.data.recovery_codes} after="Here are ten new recovery codes." onClose={close} />;
  return (
    <Drawer title="Recovery codes" mark={<LifeBuoy className="icon" aria-hidden />} onClose={close}>
      <div className="form">
        <p>
          <strong>{left === 0 ? "You have none left." : `${count(left, "code")} that you kept ${left === 1 ? "is" : "are"} not used yet.`}</strong>
        </p>
        <p className="muted">
          Each gets you in once when your authenticator app or passkey is lost. New ones make {left === 0 ? "up for those" : "the old ones void at once"}.
        </p>
        {renew.error && <ProblemNote error={renew.error} />}
        <div className="proof-actions">
          <Button look="primary" isPending={renew.isPending} onPress={() => renew.mutate()}>
            Make new codes
          </Button>
        </div>
      </div>
    </Drawer>
  );
}
