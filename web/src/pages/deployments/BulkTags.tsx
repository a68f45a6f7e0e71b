import { TagsInput } from '@mantine/core';
import { useState } from 'react';
import { bulkPath } from '../../api/deployments';
import { useSend } from '../../api/hooks';
import { FormDialog } from '../../parts/FormDialog';
import { toast } from '../../parts/toast';

/** Adds tags to many deployments, or removes them, by one call. */
export function BulkTags({
  ids,
  action,
  onClose,
}: {
  ids: string[];
  action: 'addTags' | 'removeTags';
  onClose: () => void;
}) {
  const [tags, setTags] = useState<string[]>([]);
  const change = useSend('post', bulkPath);
  const add = action === 'addTags';
  return (
    <FormDialog
      title={add ? 'Add tags' : 'Remove tags'}
      submit={add ? 'Add tags' : 'Remove tags'}
      disabled={tags.length === 0}
      busy={change.isPending}
      error={change.error}
      onSubmit={() =>
        change.mutate(
          { body: { action, ids, tags } },
          {
            onSuccess: (done) => {
              const failed = done.results.find((r) => !r.ok);
              toast(failed ? `${failed.name}: ${failed.error?.message}` : 'Saved');
              onClose();
            },
          },
        )
      }
      onClose={onClose}
    >
      <TagsInput
        label="Tags"
        description={`Of ${ids.length} selected`}
        value={tags}
        onChange={setTags}
        maxTags={20}
        data-autofocus
      />
    </FormDialog>
  );
}
