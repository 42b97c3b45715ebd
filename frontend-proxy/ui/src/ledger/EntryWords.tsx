import type { LedgerEntry } from "../api/types";
import { sentence } from "./sentence";
import { useSentenceContext } from "./useSentenceContext";

export function EntryWords({ entry }: { entry: LedgerEntry }) {
  const context = useSentenceContext();
  return sentence(entry, context).map((part, place) =>
    part.strong ? <strong key={place}>{part.text}</strong> : <span key={place}>{part.text}</span>,
  );
}
