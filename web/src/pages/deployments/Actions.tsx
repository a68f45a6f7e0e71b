import { Button, Menu, Select } from '@mantine/core';
import { useState } from 'react';
import { type Action, type Deployment, useAction } from '../../api/deployments';
import { useOffer } from '../../api/offers';
import { DownIcon } from '../../app/icons';
import { Confirm } from '../../parts/Confirm';
import { toast } from '../../parts/toast';
import { Terminate } from './Terminate';

const words: Record<Action, { title: string; text: string; done: string }> = {
  reboot: { title: 'Reboot', text: 'Everything that runs on it is stopped; its files stay.', done: 'Rebooting' },
  'power-off': {
    title: 'Power off',
    text: 'The machine stays yours and is billed on; terminate it to stop paying.',
    done: 'Powering off',
  },
  'power-on': { title: 'Power on', text: 'The machine starts again.', done: 'Powering on' },
  reinstall: {
    title: 'Reinstall',
    text: 'Everything on its own storage is erased, and the operating system installed anew. Volumes stay as they are.',
    done: 'Reinstalling',
  },
};

/** What can be done with the machine at present, by its provider's capabilities. */
export function Actions({ of: d }: { of: Deployment }) {
  const [asked, setAsked] = useState<Action | null>(null);
  const [ending, setEnding] = useState(false);
  const settled = d.pendingAction === null;
  const possible: Action[] = [];
  if (d.status === 'running' && settled) {
    if (d.capabilities.reboot) possible.push('reboot');
    if (d.capabilities.power) possible.push('power-off');
    if (d.capabilities.reinstall) possible.push('reinstall');
  }
  if (d.status === 'stopped' && settled && d.capabilities.power) possible.push('power-on');
  return (
    <>
      {possible.length > 0 && (
        <Menu position="bottom-end">
          <Menu.Target>
            <Button variant="default" rightSection={<DownIcon width={14} />}>
              Machine
            </Button>
          </Menu.Target>
          <Menu.Dropdown>
            {possible.map((a) => (
              <Menu.Item
                key={a}
                onClick={() => setAsked(a)}
                className={a === 'reinstall' ? 'danger-button' : undefined}
              >
                {words[a].title}
              </Menu.Item>
            ))}
          </Menu.Dropdown>
        </Menu>
      )}
      {d.status !== 'terminating' && (
        <Button variant="default" className="danger-button" onClick={() => setEnding(true)}>
          Terminate
        </Button>
      )}
      {asked && <Ask of={d} action={asked} onClose={() => setAsked(null)} />}
      {ending && <Terminate of={d} onClose={() => setEnding(false)} />}
    </>
  );
}

function Ask({ of: d, action, onClose }: { of: Deployment; action: Action; onClose: () => void }) {
  const act = useAction(d.id);
  const [system, setSystem] = useState<string>(d.operatingSystem);
  const offer = useOffer(action === 'reinstall' ? d.offerId : '');
  const systems = [...new Set([d.operatingSystem, ...(offer.data?.operatingSystems ?? [])])];
  return (
    <Confirm
      opened
      onClose={onClose}
      title={`${words[action].title} ${d.name}?`}
      action={words[action].title}
      danger={action === 'reinstall'}
      typed={action === 'reinstall' ? d.name : undefined}
      busy={act.isPending}
      error={act.error}
      onConfirm={() =>
        act.mutate(
          { action, operatingSystem: action === 'reinstall' ? system : undefined },
          {
            onSuccess: () => {
              toast(`${words[action].done}: ${d.name}`);
              onClose();
            },
          },
        )
      }
    >
      {words[action].text}
      {action === 'reinstall' && systems.length > 1 && (
        <Select
          mt="sm"
          label="Operating system"
          data={systems}
          value={system}
          onChange={(v) => v && setSystem(v)}
          allowDeselect={false}
        />
      )}
    </Confirm>
  );
}
