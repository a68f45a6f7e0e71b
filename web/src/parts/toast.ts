let mount: (() => void) | undefined;

/** Sets what mounts the messages before the first one is shown. */
export function onFirstToast(act: () => void) {
  mount = act;
}

/** Shows a short confirmation. */
export function toast(message: string) {
  mount?.();
  void import('@mantine/notifications').then(({ notifications }) =>
    notifications.show({ message, autoClose: 4000, withBorder: true }),
  );
}
