import { Confirm } from '../parts/Confirm';
import { answer, useQuestion } from '../parts/leave';

/** The question of a page that would lose something. */
export function Leave() {
  const question = useQuestion();
  if (!question) return null;
  return (
    <Confirm
      opened
      title={question.guard.title}
      action={question.guard.action}
      onClose={() => answer(false)}
      onConfirm={() => answer(true)}
    >
      {question.guard.text}
    </Confirm>
  );
}
