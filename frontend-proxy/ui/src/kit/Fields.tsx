import { useEffect, useId, useRef, type ReactNode } from "react";

import "./fields.css";

interface FieldProps {
  label: string;
  hint?: ReactNode;
  value: string;
  onChange: (value: string) => void;
}

interface TextProps extends FieldProps {
  type?: "text" | "password";
  placeholder?: string;
  required?: boolean;
  optional?: boolean;
  autoComplete?: string;
  maxLength?: number;
  mono?: boolean;
  inputMode?: "numeric";
  /** What is wrong with what was entered. */
  error?: ReactNode;
  /** Whether the keyboard begins here. */
  first?: boolean;
}

export function TextField({ label, hint, value, onChange, type = "text", optional = false, mono = false, error, first = false, ...input }: TextProps) {
  const id = useId();
  const element = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (first) element.current?.focus();
  }, [first]);
  const wrong = error !== undefined && error !== null;
  // One thing at a time: what is wrong takes the place of the hint.
  const below = wrong ? `${id}-error` : hint === undefined ? undefined : `${id}-hint`;
  return (
    <div className="field">
      <label htmlFor={id}>
        {label}
        {optional && <span className="faint"> (optional)</span>}
      </label>
      <input
        {...input}
        ref={element}
        id={id}
        type={type}
        className={mono || type === "password" ? "input mono" : "input"}
        value={value}
        autoComplete={input.autoComplete ?? "off"}
        spellCheck={false}
        aria-invalid={wrong || undefined}
        aria-describedby={below}
        onChange={(event) => onChange(event.target.value)}
      />
      {wrong && (
        <div className="field-error" id={`${id}-error`} role="alert">
          {error}
        </div>
      )}
      {hint !== undefined && !wrong && (
        <p className="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}

interface Choice {
  value: string;
  label: string;
}

/** A filter: any of these, or all of them. The browser's own list is the one that every device knows how to show. */
export function Filter({ label, all, choices, value, onChange }: FieldProps & { all: string; choices: Choice[] }) {
  const id = useId();
  return (
    <div className="filter">
      <label className="visually-hidden" htmlFor={id}>
        {label}
      </label>
      <select id={id} className={value === "" ? "input select" : "input select chosen"} value={value} onChange={(event) => onChange(event.target.value)}>
        <option value="">{all}</option>
        {choices.map((choice) => (
          <option key={choice.value} value={choice.value}>
            {choice.label}
          </option>
        ))}
      </select>
    </div>
  );
}

interface CheckProps {
  checked: boolean;
  onChange: (checked: boolean) => void;
  disabled?: boolean;
  children: ReactNode;
}

export function Check({ checked, onChange, disabled = false, children }: CheckProps) {
  const id = useId();
  return (
    <label className={disabled ? "check disabled" : "check"} htmlFor={id}>
      <input id={id} type="checkbox" checked={checked} disabled={disabled} onChange={(event) => onChange(event.target.checked)} />
      <span className="check-words">{children}</span>
    </label>
  );
}

interface SegmentProps<Value extends string> {
  legend: string;
  hideLegend?: boolean;
  value: Value;
  options: readonly { value: Value; label: string; icon?: ReactNode }[];
  onChange: (value: Value) => void;
}

/** One of a few, all visible: radio buttons that look like one control. */
export function Segments<Value extends string>({ legend, hideLegend = false, value, options, onChange }: SegmentProps<Value>) {
  const name = useId();
  return (
    <fieldset className="field">
      <legend className={hideLegend ? "visually-hidden" : undefined}>{legend}</legend>
      <div className="segments">
        {options.map((option) => (
          <label key={option.value} title={option.icon === undefined ? undefined : option.label} className="segment">
            <input type="radio" name={name} value={option.value} checked={option.value === value} onChange={() => onChange(option.value)} />
            {option.icon === undefined ? (
              <span>{option.label}</span>
            ) : (
              <span>
                {option.icon}
                <span className="visually-hidden">{option.label}</span>
              </span>
            )}
          </label>
        ))}
      </div>
    </fieldset>
  );
}
