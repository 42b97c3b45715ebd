/** What well-known calls do, in the words of the person they are done for. Anything else is named as it is. */
interface Phrase {
  provider: string;
  method: string;
  path: RegExp;
  words: string;
}

const phrases: readonly Phrase[] = [
  { provider: "spotify", method: "PUT", path: /^\/v1\/me\/player\/play$/, words: "played a track on" },
  { provider: "spotify", method: "PUT", path: /^\/v1\/me\/player\/pause$/, words: "paused playback on" },
  { provider: "spotify", method: "POST", path: /^\/v1\/me\/player\/next$/, words: "skipped a track on" },
  { provider: "spotify", method: "POST", path: /^\/v1\/me\/player\/previous$/, words: "went back a track on" },
  { provider: "spotify", method: "POST", path: /^\/v1\/me\/player\/queue$/, words: "queued a track on" },
  { provider: "spotify", method: "PUT", path: /^\/v1\/me\/player\/volume$/, words: "changed the volume on" },
  { provider: "spotify", method: "GET", path: /^\/v1\/me\/player(\/.*)?$/, words: "looked at the player on" },
  { provider: "spotify", method: "GET", path: /^\/v1\/search$/, words: "searched" },
  { provider: "spotify", method: "GET", path: /^\/v1\/me$/, words: "read your profile on" },
  { provider: "spotify", method: "GET", path: /^\/v1\/(me\/)?playlists/, words: "read playlists on" },
  { provider: "spotify", method: "POST", path: /^\/v1\/playlists\/[^/]+\/tracks$/, words: "added tracks to a playlist on" },
  { provider: "google", method: "GET", path: /userinfo$/, words: "read your profile on" },
  { provider: "google", method: "GET", path: /^\/gmail\/v1\/users\/[^/]+\/messages\/[^/]+$/, words: "read a mail on" },
  { provider: "google", method: "GET", path: /^\/gmail\/v1\/users\/[^/]+\/(messages|threads)$/, words: "listed your mail on" },
  { provider: "google", method: "POST", path: /^\/gmail\/v1\/users\/[^/]+\/messages\/send$/, words: "sent a mail through" },
  { provider: "google", method: "GET", path: /^\/calendar\/v3\//, words: "read your calendar on" },
  { provider: "google", method: "POST", path: /^\/calendar\/v3\/calendars\/[^/]+\/events$/, words: "added an event on" },
  { provider: "github", method: "GET", path: /^\/user$/, words: "read your profile on" },
  { provider: "github", method: "GET", path: /^\/(user|users\/[^/]+|orgs\/[^/]+)\/repos$/, words: "listed repositories on" },
  { provider: "github", method: "GET", path: /^\/repos\/[^/]+\/[^/]+\/issues$/, words: "listed issues on" },
  { provider: "github", method: "POST", path: /^\/repos\/[^/]+\/[^/]+\/issues$/, words: "opened an issue on" },
  { provider: "github", method: "GET", path: /^\/repos\/[^/]+\/[^/]+$/, words: "read a repository on" },
];

/** "played a track on", or null for a call that nobody has put into words. */
export function callWords(provider: string, method: string, path: string): string | null {
  const plain = `/${path.split("?")[0]?.replace(/^\/+/, "") ?? ""}`;
  const found = phrases.find((phrase) => phrase.provider === provider && phrase.method === method && phrase.path.test(plain));
  return found?.words ?? null;
}
