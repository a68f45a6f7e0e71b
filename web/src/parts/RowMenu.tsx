import { ActionIcon, Menu } from '@mantine/core';
import { MoreIcon } from '../app/icons';

export interface RowAction {
  text: string;
  run: () => void;
  danger?: boolean;
  disabled?: boolean;
}

/** The menu of what can be done with one row. */
export default function RowMenu({ name, actions }: { name: string; actions: RowAction[] }) {
  if (actions.length === 0) return null;
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" aria-label={`Actions for ${name}`}>
          <MoreIcon />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {actions.map((a) => (
          <Menu.Item
            key={a.text}
            disabled={a.disabled}
            className={a.danger ? 'danger-button' : undefined}
            onClick={a.run}
          >
            {a.text}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}
