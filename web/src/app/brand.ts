// The operator's color. Buttons have it as it is: the server accepts only colors on which text is
// readable. Where it is the color of text or lines, it is made darker or lighter until it has the
// contrast that each theme needs.

import type { CSSVariablesResolver, MantineColorsTuple, MantineThemeOverride } from '@mantine/core';
import { cssVariables, theme } from './theme';

type Rgb = [number, number, number];

const white: Rgb = [255, 255, 255];
const black: Rgb = [0, 0, 0];

function parse(color: string): Rgb {
  return [1, 3, 5].map((at) => Number.parseInt(color.slice(at, at + 2), 16)) as Rgb;
}

function print(c: Rgb): string {
  return `#${c.map((v) => Math.round(v).toString(16).padStart(2, '0')).join('')}`;
}

function mix(a: Rgb, b: Rgb, share: number): Rgb {
  return a.map((v, i) => v * (1 - share) + (b[i] ?? 0) * share) as Rgb;
}

function luminance(c: Rgb): number {
  const [r = 0, g = 0, b = 0] = c.map((v) => {
    const x = v / 255;
    return x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** The contrast ratio of WCAG. */
export function contrast(a: string, b: string): number {
  const [x, y] = [luminance(parse(a)), luminance(parse(b))];
  return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
}

/** The color, mixed with another one until it has that contrast with each of the backgrounds. */
function until(color: Rgb, toward: Rgb, least: number, backgrounds: string[]): string {
  for (let share = 0; share <= 1; share += 0.02) {
    const mixed = print(mix(color, toward, share));
    if (backgrounds.every((b) => contrast(mixed, b) >= least)) return mixed;
  }
  return print(toward);
}

/** The colors that replace the built-in amber. */
export function brandColors(primary: string) {
  const color = parse(primary);
  const lightSoft = print(mix(color, white, 0.88));
  const darkSoft = print(mix(color, parse('#171b1f'), 0.8));
  const light = ['#ffffff', '#fbfbfc', '#f6f7f9', lightSoft];
  const dark = ['#111417', '#171b1f', '#1d2227', '#22282e', darkSoft];
  return {
    light: { text: until(color, black, 4.6, light), soft: lightSoft, line: until(color, black, 3, light) },
    dark: { text: until(color, white, 4.6, dark), soft: darkSoft, line: until(color, white, 3, dark) },
  };
}

/** The theme with the operator's color; the built-in one without. */
export function brandedTheme(primary: string | null): MantineThemeOverride {
  if (!primary) return theme;
  const color = parse(primary);
  const shades = [0.9, 0.78, 0.6, 0.4, 0.2].map((s) => print(mix(color, white, s)));
  // The first of these is that of a button under the pointer, where the text stays readable.
  const away = contrast(primary, '#ffffff') >= contrast(primary, '#171b1f') ? black : white;
  const deeper = [0.12, 0.25, 0.4, 0.55].map((s) => print(mix(color, away, s)));
  const amber = [...shades, primary, ...deeper] as unknown as MantineColorsTuple;
  return {
    ...theme,
    colors: { ...theme.colors, amber },
    // White and near-black text have the same contrast on a color of this luminance.
    luminanceThreshold: 0.2025,
  };
}

/** The variables of the built-in theme with the operator's color. */
export function brandedVariables(primary: string | null): CSSVariablesResolver {
  if (!primary) return cssVariables;
  const brand = brandColors(primary);
  return (of) => {
    const all = cssVariables(of);
    for (const scheme of ['light', 'dark'] as const)
      Object.assign(all[scheme], {
        '--mantine-color-anchor': brand[scheme].text,
        '--accent-text': brand[scheme].text,
        '--accent-soft': brand[scheme].soft,
        '--chart': brand[scheme].line,
        '--chart-soft': brand[scheme].soft,
        '--accent-line': brand[scheme].line,
      });
    return all;
  };
}
