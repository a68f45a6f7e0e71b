import '@mantine/notifications/styles.css';
import { Notifications } from '@mantine/notifications';

/** Where toasts appear. */
export default function Messages() {
  return <Notifications position="bottom-right" />;
}
