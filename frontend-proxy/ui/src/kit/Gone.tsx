/** What a link leads to when its thing has ended meanwhile. */
export function Gone({ what }: { what: string }) {
  return (
    <div className="stack">
      <p>
        <strong>This {what} is not here any more.</strong>
      </p>
      <p className="muted small">It has ended, or the link belongs to another account. Activity keeps what happened with it.</p>
    </div>
  );
}
