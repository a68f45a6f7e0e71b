import '@mantine/notifications/styles.css';
import { Notifications } from '@mantine/notifications';
import { Leave } from './Leave';
import { Shortcuts } from './Shortcuts';

/** What no page needs at first: messages, the list of shortcuts, the question before leaving. */
export default function Extras() {
  return (
    <>
      <Notifications position="bottom-right" />
      <Shortcuts />
      <Leave />
    </>
  );
}
