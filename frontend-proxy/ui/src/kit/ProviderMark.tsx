import {
  siAtlassian,
  siDiscord,
  siDropbox,
  siGithub,
  siGitlab,
  siGoogle,
  siHubspot,
  siLinear,
  siNotion,
  siSpotify,
  siZoom,
} from "simple-icons";

import { initials } from "./words";
import "./marks.css";

const icons = [
  siAtlassian, siDiscord, siDropbox, siGithub, siGitlab, siGoogle, siHubspot, siLinear, siNotion, siSpotify, siZoom,
];
const paths = new Map(icons.map((icon) => [icon.slug, icon.path]));

interface Props {
  icon: string | null;
  title: string;
  /** Bare: the sign alone. Boxed: in its hairline square, as lists have it. */
  boxed?: boolean;
}

/** A provider's sign in the colour of the text around it, or its initials where no set has it. */
export function ProviderMark({ icon, title, boxed = false }: Props) {
  const path = icon === null ? undefined : paths.get(icon);
  return (
    <span className={boxed ? "mark boxed" : "mark"} aria-hidden>
      {path === undefined ? (
        <span className="mark-initials" data-initials={initials(title)} />
      ) : (
        <svg viewBox="0 0 24 24" fill="currentColor" focusable="false">
          <path d={path} />
        </svg>
      )}
    </span>
  );
}
