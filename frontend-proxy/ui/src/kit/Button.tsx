import { Check, Copy, LoaderCircle } from "lucide-react";
import { useEffect, useState, type ReactNode } from "react";
import { Button as Press, type ButtonProps } from "react-aria-components/Button";

import "./button.css";

interface Props extends Omit<ButtonProps, "className" | "children" | "style"> {
  look?: "primary" | "secondary" | "quiet" | "danger" | "danger-quiet" | "row-danger";
  size?: "small" | "large";
  icon?: ReactNode;
  children?: ReactNode;
}

export function Button({ look = "secondary", size, icon, children, isPending = false, ...rest }: Props) {
  const names = ["button", look, size, children === undefined ? "bare" : ""].filter(Boolean).join(" ");
  // While it works it keeps the focus and does nothing: disabled, it would throw the keyboard back to the top.
  const still = isPending ? { onPress: () => undefined, type: "button" as const } : {};
  return (
    <Press {...rest} {...still} className={isPending ? `${names} pending` : names}>
      {isPending ? <LoaderCircle className="icon turning" aria-hidden /> : icon}
      {children}
    </Press>
  );
}

export function CopyButton({ text, what, look = "secondary" }: { text: string; what: string; look?: Props["look"] }) {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = window.setTimeout(() => setCopied(false), 2_000);
    return () => window.clearTimeout(timer);
  }, [copied]);
  return (
    <>
      <Button
        look={look}
        size="small"
        aria-label={`Copy ${what}`}
        icon={copied ? <Check className="icon" aria-hidden /> : <Copy className="icon" aria-hidden />}
        onPress={() => void navigator.clipboard.writeText(text).then(() => setCopied(true), () => setCopied(false))}
      >
        {copied ? "Copied" : "Copy"}
      </Button>
      <span className="visually-hidden" role="status">
        {copied ? `Copied ${what}` : ""}
      </span>
    </>
  );
}
