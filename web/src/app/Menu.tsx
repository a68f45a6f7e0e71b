import { Drawer } from '@mantine/core';
import { Logo } from './Logo';
import { Nav } from './Nav';
import { Who } from './Who';

/** The navigation on a narrow screen. */
export default function Menu({ onClose }: { onClose: () => void }) {
  return (
    <Drawer opened onClose={onClose} size={280} title={<Logo />} padding="sm">
      <div className="drawer-side">
        <Nav onChoose={onClose} />
        <Who />
      </div>
    </Drawer>
  );
}
