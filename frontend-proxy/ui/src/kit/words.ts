/** Counting and joining, as people do. */
export function count(n: number, one: string, many = `${one}s`): string {
  return `${n} ${n === 1 ? one : many}`;
}

export function list(words: readonly string[]): string {
  if (words.length < 2) return words[0] ?? "";
  return `${words.slice(0, -1).join(", ")} and ${words[words.length - 1] ?? ""}`;
}

export function initials(name: string): string {
  const words = name.split(/[\s@._-]+/).filter((word) => word !== "");
  const [first = "", second = ""] = words;
  return (second === "" ? first.slice(0, 2) : `${first[0] ?? ""}${second[0] ?? ""}`).toUpperCase();
}

/** A return address is followed only when it is a path of ours. */
export function localPath(path: string | null, otherwise = "/connections"): string {
  if (path === null || !path.startsWith("/") || /^\/[/\\]/.test(path)) return otherwise;
  const url = new URL(path, "http://local.invalid");
  // Dots are resolved by now, and what is left may begin with two slashes again.
  const local = url.origin === "http://local.invalid" && !url.pathname.startsWith("//");
  return local ? url.pathname + url.search + url.hash : otherwise;
}
