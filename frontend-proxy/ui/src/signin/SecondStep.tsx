import type { Way } from "../api/types";
import { ProofForm } from "../factors/ProofForm";
import { Button } from "../kit/Button";
import type { PasswordSignIn } from "./usePasswordSignIn";

/** The password was right, and this account asks for more. */
export function SecondStep({ signIn, ways }: { signIn: PasswordSignIn; ways: readonly Way[] }) {
  return (
    <>
      <div className="signin-words">
        <h1>Show that it is you</h1>
        <p className="lead">
          One more step to sign in as <strong>{signIn.credentials.email.trim()}</strong>.
        </p>
      </div>
      <ProofForm ways={ways} verb="Sign in" show={signIn.show}>
        <Button look="quiet" onPress={signIn.back}>
          Back
        </Button>
      </ProofForm>
    </>
  );
}
