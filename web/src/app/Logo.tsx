/** A billet: a bar of steel, its end still glowing. */
export function Mark({ size = 26 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <path fill="var(--mark-top)" d="M3 17.5 20 8l9 4.5-17 9.5z" />
      <path fill="var(--mark-side)" d="M3 17.5 12 22v7l-9-4.5z" />
      <path fill="#ee9b1e" d="M12 22l17-9.5v7L12 29z" />
    </svg>
  );
}

export function Logo() {
  return (
    <span className="logo">
      <Mark />
      <span>Billet</span>
    </span>
  );
}
