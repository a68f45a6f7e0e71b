import { Menu, useMantineColorScheme } from '@mantine/core';
import { useNavigate } from 'react-router';
import { useSwitchAccount } from '../api/members';
import { signOut, useMe } from '../api/session';
import { toast } from '../parts/toast';
import { CheckIcon, DownIcon } from './icons';

/** Who is signed in, in which account; colours, help and the way out. */
export function Who() {
  const me = useMe().data;
  const navigate = useNavigate();
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const change = useSwitchAccount();
  if (!me) return null;
  const accounts = me.accounts;
  const leave = async () => {
    try {
      await signOut();
    } catch {
      toast('Signing out did not work: the server did not answer. Try again.');
    }
  };
  return (
    <Menu position="top-start" width={230} shadow="md">
      <Menu.Target>
        <button type="button" className="who">
          <span className="who-text">
            <span className="cell-main strong">{me.account.name}</span>
            <span className="cell-sub">{me.user.name || me.user.email}</span>
          </span>
          <DownIcon />
          <span className="sr">: menu</span>
        </button>
      </Menu.Target>
      <Menu.Dropdown>
        {accounts.length > 1 && (
          <>
            <Menu.Label>Account</Menu.Label>
            {accounts.map((a) => (
              <Menu.Item
                key={a.id}
                rightSection={a.id === me.account.id ? <CheckIcon /> : null}
                onClick={() => a.id !== me.account.id && change.mutate(a.id, { onSuccess: () => navigate('/') })}
              >
                {a.name} <span className="dim">{a.role}</span>
              </Menu.Item>
            ))}
            <Menu.Divider />
          </>
        )}
        <Menu.Label>Colours</Menu.Label>
        {(['light', 'dark', 'auto'] as const).map((scheme) => (
          <Menu.Item
            key={scheme}
            closeMenuOnClick={false}
            rightSection={colorScheme === scheme ? <CheckIcon /> : null}
            onClick={() => setColorScheme(scheme)}
          >
            {{ light: 'Light', dark: 'Dark', auto: 'As the system' }[scheme]}
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
        <Menu.Item onClick={() => navigate('/settings/profile')}>Profile & security</Menu.Item>
        <Menu.Divider />
        <Menu.Item onClick={() => void leave()}>Sign out</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
