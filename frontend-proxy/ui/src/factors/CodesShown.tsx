import { Download, LifeBuoy } from "lucide-react";

import { Button } from "../kit/Button";
import { Drawer } from "../kit/Drawer";
import { Note } from "../kit/ProblemNote";
import { Secret } from "../kit/Secret";
import { codesFile } from "./words";

/** The one time that recovery codes are seen. */
export function CodesShown({ codes, after, onClose }: { codes: readonly string[]; after: string; onClose: () => void }) {
  return (
    <Drawer
      title="Recovery codes"
      mark={<LifeBuoy className="icon" aria-hidden />}
      onClose={onClose}
      sticky
      foot={
        <Button look="primary" onPress={onClose}>
          Done, I have kept them
        </Button>
      }
    >
      <p>{after}</p>
      <Note tone="amber">
        <strong>Keep them now: they will not be shown again.</strong> Earlier codes no longer work.
      </Note>
      <Secret label="Each works once, when what you sign in with is lost" text={codes.join("\n")} what="the recovery codes" testId="recovery-codes">
        <Button size="small" icon={<Download className="icon" aria-hidden />} onPress={() => save(codes)}>
          Download
        </Button>
      </Secret>
      <p className="small muted">Print them, or keep them in a password manager, but not on the device that they stand in for.</p>
    </Drawer>
  );
}

function save(codes: readonly string[]): void {
  const host = window.location.host;
  const url = URL.createObjectURL(new Blob([codesFile(codes, host, new Date())], { type: "text/plain" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = `recovery-codes-${host.replaceAll(/[^a-z0-9.-]/g, "-")}.txt`;
  link.click();
  URL.revokeObjectURL(url);
}
