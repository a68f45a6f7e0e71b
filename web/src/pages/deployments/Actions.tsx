import { Button, Menu, Select } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { type Action, type Deployment, useAction } from '../../api/deployments';
import { imagesQuery } from '../../api/images';
import { offerQuery } from '../../api/offers';
import { useCan } from '../../api/session';
import { DownIcon } from '../../app/icons';
import { useConfirm } from '../../parts/confirm';
import { toast } from '../../parts/toast';
import { misfit } from '../images/words';
import { TerminateDialog } from './TerminateDialog';

const texts: Record<Action, { title: string; text: string; done: string }> = {
  reboot: { title: 'Reboot', text: 'Running programs stop. Files are kept.', done: 'Rebooting' },
  'power-off': {
    title: 'Power off',
    text: 'Billing continues while powered off. Terminate to stop billing.',
    done: 'Powering off',
  },
  'power-on': { title: 'Power on', text: 'The machine boots again.', done: 'Powering on' },
  rescue: {
    title: 'Rescue',
    text: 'Restarts with a system in memory that you can log in to over SSH. Disks are kept. Billing continues.',
    done: 'Starting the rescue system of',
  },
  'end-rescue': {
    title: 'End rescue',
    text: 'Restarts from the disk.',
    done: 'Ending the rescue of',
  },
  reinstall: {
    title: 'Reinstall',
    text: "Erases everything on the machine's local disks and reinstalls the OS. Volumes aren't affected.",
    done: 'Reinstalling',
  },
};

/** What the machine and its provider support at present. */
function possibleActions(d: Deployment): Action[] {
  if (d.pendingAction !== null) return [];
  const { reboot, power, reinstall, rescue } = d.capabilities;
  if (d.status === 'stopped') return power ? ['power-on'] : [];
  if (d.status !== 'running') return [];
  const supported: [Action, boolean][] = [
    ['reboot', reboot],
    ['power-off', power],
    [d.rescue ? 'end-rescue' : 'rescue', rescue],
    ['reinstall', reinstall],
  ];
  return supported.filter(([, is]) => is).map(([action]) => action);
}

export function Actions({ of: d }: { of: Deployment }) {
  const [terminating, setTerminating] = useState(false);
  const confirm = useConfirm();
  const queries = useQueryClient();
  const act = useAction(d.id);
  const can = useCan();
  const actions = possibleActions(d);

  const ask = async (action: Action) => {
    const { title, text, done } = texts[action];
    const reinstall = action === 'reinstall';
    // Without the offer, the machine can still be reinstalled with the same operating system.
    const offer = reinstall ? await queries.fetchQuery(offerQuery(d.offerId)).catch(() => null) : null;
    // An image of the tenant's own has a name, too, which is no operating system of the offer.
    const installed = d.imageId ?? d.operatingSystem;
    const images =
      reinstall && d.capabilities.customImages && can('deployments:read')
        ? await queries.fetchQuery(imagesQuery).catch(() => [])
        : [];
    const systems = [
      { value: installed, label: d.imageId ? `${d.operatingSystem} (your image)` : d.operatingSystem },
      ...(offer?.operatingSystems ?? []).filter((s) => s !== installed).map((s) => ({ value: s, label: s })),
      ...images
        .filter((i) => i.id !== installed)
        .map((i) => {
          const wrong = offer && misfit(i, offer);
          return { value: i.id, label: `${i.name} (${wrong || 'your image'})`, disabled: !!wrong };
        }),
    ];
    confirm({
      title: `${title} ${d.name}?`,
      body: (
        <>
          {text}
          {systems.length > 1 && (
            <Select
              name="operatingSystem"
              label="Operating system"
              mt="sm"
              data={systems}
              defaultValue={installed}
              allowDeselect={false}
            />
          )}
        </>
      ),
      action: title,
      danger: reinstall,
      typed: reinstall ? d.name : undefined,
      run: async (form) => {
        const chosen = String(form.get('operatingSystem') ?? installed);
        const image = images.some((i) => i.id === chosen);
        // Without either, what is installed is installed again.
        const other = image ? { imageId: chosen } : { operatingSystem: chosen };
        await act.mutateAsync({ action, with: chosen === installed ? {} : other });
        toast(`${done} ${d.name}`);
      },
    });
  };

  return (
    <>
      {actions.length > 0 && (
        <Menu position="bottom-end">
          <Menu.Target>
            <Button variant="default" rightSection={<DownIcon width={14} />}>
              Machine
            </Button>
          </Menu.Target>
          <Menu.Dropdown>
            {actions.map((a) => (
              <Menu.Item
                key={a}
                onClick={() => void ask(a)}
                className={a === 'reinstall' ? 'danger-button' : undefined}
              >
                {texts[a].title}
              </Menu.Item>
            ))}
          </Menu.Dropdown>
        </Menu>
      )}
      {d.status !== 'terminating' && (
        <Button variant="default" className="danger-button" onClick={() => setTerminating(true)}>
          Terminate
        </Button>
      )}
      {terminating && <TerminateDialog of={d} onClose={() => setTerminating(false)} />}
    </>
  );
}
