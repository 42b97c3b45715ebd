import "./notes.css";

/** A grey shape where words will be. */
export function Bone({ shape }: { shape: "w1" | "w2" | "w3" | "w4" | "mark" | "tall" }) {
  return <span className={`bone ${shape}`} aria-hidden />;
}
