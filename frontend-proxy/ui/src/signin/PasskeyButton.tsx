import { KeyRound } from "lucide-react";

import { Refusal } from "../factors/Refusal";
import { refusal } from "../factors/words";
import { Button } from "../kit/Button";
import { ProblemNote } from "../kit/ProblemNote";
import { usePasskeySignIn } from "./usePasskeySignIn";

export function PasskeyButton() {
  const { start, pending, error } = usePasskeySignIn();
  const told = error && refusal(error, "passkey", 0) !== null;
  return (
    <>
      <Button size="large" icon={<KeyRound className="icon" aria-hidden />} isPending={pending} onPress={start}>
        Sign in with a passkey
      </Button>
      {error &&
        (told ? (
          <div className="field-error" role="alert">
            <Refusal error={error} way="passkey" />
          </div>
        ) : (
          <ProblemNote error={error} />
        ))}
    </>
  );
}
