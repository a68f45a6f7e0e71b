// A few line icons on a 20-unit grid. An icon package would be larger than all of them.

import type { SVGProps } from 'react';

function Icon({ children, ...rest }: SVGProps<SVGSVGElement>) {
  return (
    <svg
      width="18"
      height="18"
      viewBox="0 0 20 20"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.5"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
      focusable="false"
      {...rest}
    >
      {children}
    </svg>
  );
}

type P = SVGProps<SVGSVGElement>;

export const OverviewIcon = (p: P) => (
  <Icon {...p}>
    <path d="M4 4h7v7H4zM13 4h7v4h-7zM13 10h7v10h-7zM4 13h7v7H4z" />
  </Icon>
);

export const OffersIcon = (p: P) => (
  <Icon {...p}>
    <rect x="5" y="5" width="10" height="10" rx="1.5" />
    <path d="M8 2.5V5M12 2.5V5M8 15v2.5M12 15v2.5M2.5 8H5M2.5 12H5M15 8h2.5M15 12h2.5" />
  </Icon>
);
export const DeploymentsIcon = (p: P) => (
  <Icon {...p}>
    <rect x="3" y="3.5" width="14" height="5.5" rx="1.5" />
    <rect x="3" y="11" width="14" height="5.5" rx="1.5" />
    <path d="M6 6.25h.01M6 13.75h.01M9 6.25h5M9 13.75h5" />
  </Icon>
);
export const VolumesIcon = (p: P) => (
  <Icon {...p}>
    <ellipse cx="10" cy="5" rx="6.5" ry="2.5" />
    <path d="M3.5 5v5c0 1.4 2.9 2.5 6.5 2.5s6.5-1.1 6.5-2.5V5M3.5 10v5c0 1.4 2.9 2.5 6.5 2.5s6.5-1.1 6.5-2.5v-5" />
  </Icon>
);
export const ImageIcon = (p: P) => (
  <Icon {...p}>
    <circle cx="10" cy="10" r="7" />
    <circle cx="10" cy="10" r="2" />
    <path d="M10 5.5A4.5 4.5 0 0 0 5.5 10" />
  </Icon>
);
export const KeyIcon = (p: P) => (
  <Icon {...p}>
    <circle cx="6.5" cy="13.5" r="3.5" />
    <path d="m9 11 7.5-7.5M13 7l2.5 2.5M15 5l1.5 1.5" />
  </Icon>
);
export const BillingIcon = (p: P) => (
  <Icon {...p}>
    <path d="M5 3h10v14l-2.5-1.5L10 17l-2.5-1.5L5 17zM8 7h4M8 10h4" />
  </Icon>
);
export const BudgetIcon = (p: P) => (
  <Icon {...p}>
    <path d="M3 14a7 7 0 1 1 14 0M10 14l3.5-4.5M3 14h1.5M15.5 14H17M10 7v1.5" />
  </Icon>
);
export const WalletIcon = (p: P) => (
  <Icon {...p}>
    <path d="M3 6.5v8A1.5 1.5 0 0 0 4.5 16h11a1.5 1.5 0 0 0 1.5-1.5v-6" />
    <path d="M17 8.5A1.5 1.5 0 0 0 15.5 7h-11A1.5 1.5 0 0 1 3 5.5 1.5 1.5 0 0 1 4.5 4H14" />
    <path d="M13.5 11.5h.01" strokeWidth="2.2" />
  </Icon>
);
export const CodeIcon = (p: P) => (
  <Icon {...p}>
    <path d="m7 6-4 4 4 4M13 6l4 4-4 4M11.5 4l-3 12" />
  </Icon>
);
export const TeamIcon = (p: P) => (
  <Icon {...p}>
    <circle cx="7.5" cy="7" r="2.75" />
    <path d="M2.5 16c0-2.8 2.2-4.5 5-4.5s5 1.7 5 4.5M13 4.5a2.7 2.7 0 0 1 0 5M14.5 11.8c1.8.6 3 2.1 3 4.2" />
  </Icon>
);
export const ShieldIcon = (p: P) => (
  <Icon {...p}>
    <path d="M10 2.5 16 5v4.5c0 3.7-2.5 6.5-6 8-3.5-1.5-6-4.3-6-8V5z" />
    <path d="m7.5 9.8 1.8 1.8 3.2-3.4" />
  </Icon>
);
export const LogIcon = (p: P) => (
  <Icon {...p}>
    <path d="M4 3.5h12v13H4zM7 7.5h6M7 10.5h6M7 13.5h3" />
  </Icon>
);
export const WebhookIcon = (p: P) => (
  <Icon {...p}>
    <path d="M3.5 10h9M9 6l4 4-4 4M16.5 4v12" />
  </Icon>
);
export const OperatorIcon = (p: P) => (
  <Icon {...p}>
    <path d="M3 5.5h7M14 5.5h3M3 10h2M9 10h8M3 14.5h8M15 14.5h2" />
    <circle cx="12" cy="5.5" r="1.8" />
    <circle cx="7" cy="10" r="1.8" />
    <circle cx="13" cy="14.5" r="1.8" />
  </Icon>
);
export const CopyIcon = (p: P) => (
  <Icon {...p}>
    <rect x="7" y="7" width="9.5" height="9.5" rx="1.5" />
    <path d="M13 4.5V5A1.5 1.5 0 0 0 11.5 3.5H5A1.5 1.5 0 0 0 3.5 5v6.5A1.5 1.5 0 0 0 5 13" />
  </Icon>
);
export const CheckIcon = (p: P) => (
  <Icon {...p}>
    <path d="m4 10.5 4 4 8-9" />
  </Icon>
);
export const SearchIcon = (p: P) => (
  <Icon {...p}>
    <circle cx="9" cy="9" r="5" />
    <path d="m13 13 4 4" />
  </Icon>
);
export const PlusIcon = (p: P) => (
  <Icon {...p}>
    <path d="M10 4v12M4 10h12" />
  </Icon>
);
export const MoreIcon = (p: P) => (
  <Icon {...p} strokeWidth="2.4">
    <path d="M4.5 10h.01M10 10h.01M15.5 10h.01" />
  </Icon>
);
export const DownIcon = (p: P) => (
  <Icon {...p}>
    <path d="m5.5 8 4.5 4.5L14.5 8" />
  </Icon>
);
export const BackIcon = (p: P) => (
  <Icon {...p}>
    <path d="M12 4.5 6.5 10l5.5 5.5" />
  </Icon>
);
export const TerminalIcon = (p: P) => (
  <Icon {...p}>
    <rect x="2.5" y="3.5" width="15" height="13" rx="1.5" />
    <path d="m5.5 7.5 2.5 2.5-2.5 2.5M10 12.5h4" />
  </Icon>
);
