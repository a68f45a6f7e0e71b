import { useId } from 'react';
import { useSite } from '../api/site';

/** A billet: a bar of steel, its end still glowing. */
export function Mark({ size = 28 }: { size?: number }) {
  // Unique IDs: a gradient inside a hidden copy would not be drawn in the visible one.
  const id = useId();
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <linearGradient id={`${id}side`} x1="10" x2="27" y1="0" y2="0" gradientUnits="userSpaceOnUse">
        <stop stopColor="#d98508" />
        <stop offset="0.6" stopColor="var(--mark-side)" />
      </linearGradient>
      <linearGradient id={`${id}top`} x1="3" x2="20" y1="0" y2="0" gradientUnits="userSpaceOnUse">
        <stop stopColor="#f7c268" />
        <stop offset="0.6" stopColor="var(--mark-top)" />
      </linearGradient>
      <path fill={`url(#${id}top)`} d="M2.5 15l18-9 9 4.5-18 9z" />
      <path fill={`url(#${id}side)`} d="M11.5 19.5l18-9v7l-18 9z" />
      <path fill="#f4b042" d="M2.5 15l9 4.5v7l-9-4.5z" />
    </svg>
  );
}

/** The operator's logo and name, or the built-in ones. A wide logo contains the name. */
export function Logo() {
  const site = useSite();
  if (!site) return <span className="logo" aria-hidden="true" />;
  const { logo, name } = site;
  const wide = logo !== null && logo.width >= 2 * logo.height;
  return (
    <span className="logo">
      {logo ? <img src={logo.url} width={logo.width} height={logo.height} alt={wide ? name : ''} /> : <Mark />}
      {!wide && <span className="logo-name">{name}</span>}
    </span>
  );
}
