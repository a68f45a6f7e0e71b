import { Button, Group } from '@mantine/core';

interface Props {
  page: number;
  pages: number;
  onPage: (page: number) => void;
}

/** Goes through the pages of a list, newest first. */
export function Pager({ page, pages, onPage }: Props) {
  if (pages <= 1) return null;
  return (
    <Group justify="space-between" mt="sm">
      <Button variant="default" size="compact-sm" disabled={page === 1} onClick={() => onPage(page - 1)}>
        Newer
      </Button>
      <span className="small dim">
        Page {page} of {pages}
      </span>
      <Button variant="default" size="compact-sm" disabled={page >= pages} onClick={() => onPage(page + 1)}>
        Older
      </Button>
    </Group>
  );
}
