import { notifications } from '@mantine/notifications';

/** Says for a moment that something was done. */
export function toast(message: string) {
  notifications.show({ message, autoClose: 4000, withBorder: true });
}
