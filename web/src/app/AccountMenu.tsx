import { Menu, useMantineColorScheme } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useNavigate } from 'react-router';
import { signOut, switchAccount, useMe } from '../api/session';
import { toast } from '../parts/toast';
import { CheckIcon, DownIcon } from './icons';

const themes = { light: 'Light', dark: 'Dark', auto: 'System' } as const;

/** The account and the user, with the theme, help and sign-out. */
export function AccountMenu() {
  const me = useMe().data;
  const navigate = useNavigate();
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const change = useMutation({ mutationFn: switchAccount, onSuccess: () => navigate('/') });
  if (!me) return null;
  const leave = () => signOut().catch(() => toast('Could not sign out: the server did not respond. Try again.'));
  return (
    <Menu position="top-start" width={230} shadow="md">
      <Menu.Target>
        <button type="button" className="account-menu">
          <span className="account-menu-text">
            <span className="cell-main strong">{me.account.name}</span>
            <span className="cell-sub">{me.user.name || me.user.email}</span>
          </span>
          <DownIcon />
          <span className="sr">: menu</span>
        </button>
      </Menu.Target>
      <Menu.Dropdown>
        {me.accounts.length > 1 && !me.view && (
          <>
            <Menu.Label>Account</Menu.Label>
            {me.accounts.map((a) => (
              <Menu.Item
                key={a.id}
                rightSection={a.id === me.account.id ? <CheckIcon /> : null}
                onClick={() => a.id !== me.account.id && change.mutate(a.id)}
              >
                {a.name} <span className="dim">{a.role}</span>
              </Menu.Item>
            ))}
            <Menu.Divider />
          </>
        )}
        <Menu.Label>Theme</Menu.Label>
        {(Object.keys(themes) as (keyof typeof themes)[]).map((scheme) => (
          <Menu.Item
            key={scheme}
            closeMenuOnClick={false}
            rightSection={colorScheme === scheme ? <CheckIcon /> : null}
            onClick={() => setColorScheme(scheme)}
          >
            {themes[scheme]}
          </Menu.Item>
        ))}
        <Menu.Divider />
        <Menu.Item component="a" href="/docs" target="_blank">
          API documentation
        </Menu.Item>
        <Menu.Item
          rightSection={<kbd className="mono">?</kbd>}
          onClick={() => window.dispatchEvent(new CustomEvent('billet:shortcuts'))}
        >
          Keyboard shortcuts
        </Menu.Item>
        {!me.view && <Menu.Item onClick={() => navigate('/settings/profile')}>Profile & security</Menu.Item>}
        <Menu.Divider />
        <Menu.Item onClick={() => void leave()}>Sign out</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
