import { Drawer } from '@mantine/core';
import { AccountMenu } from './AccountMenu';
import { Logo } from './Logo';
import { Nav } from './Nav';

/** The navigation on a narrow screen. */
export default function NavDrawer({ onClose }: { onClose: () => void }) {
  return (
    <Drawer opened onClose={onClose} size={280} title={<Logo />} padding="sm">
      <div className="drawer-side">
        <Nav onChoose={onClose} />
        <AccountMenu />
      </div>
    </Drawer>
  );
}
