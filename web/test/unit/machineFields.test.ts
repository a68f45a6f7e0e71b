import { describe, expect, it } from 'vitest';
import type { Schema } from '../../src/api/client';
import { fields, labelsOf, requestOf, textsOf, wrongIn } from '../../src/pages/operator/machineFields';

describe('the fields of a machine', () => {
  const machine = {
    name: 'gpu-01',
    position: 0,
    macs: ['a', 'b'],
    nameservers: [],
    labels: { owner: 'lab' },
    hourlyPrice: 9.5,
  };
  const stored = textsOf(machine as unknown as Schema['Machine']);

  it('are texts of a form', () => {
    expect(stored).toMatchObject({
      name: 'gpu-01',
      position: '',
      macs: 'a b',
      labels: 'owner=lab',
      hourlyPrice: '9.5',
    });
    expect(stored).not.toHaveProperty('bmcPassword');
  });

  it('are sent only where they were changed', () => {
    expect(requestOf(fields, stored, stored)).toEqual({});
    const texts = { ...stored, position: '3', macs: '', labels: '', bmcPassword: ' secret ', name: ' gpu-01 ' };
    expect(requestOf(fields, texts, stored)).toEqual({ position: 3, macs: [], labels: {}, bmcPassword: ' secret ' });
  });

  it('name labels and numbers that cannot be read', () => {
    expect(labelsOf('a=1, b = x=y,')).toEqual({ a: '1', b: 'x=y' });
    expect(labelsOf('a')).toBeNull();
    const of = (name: string) => fields.find((f) => f.name === name) ?? fields[0];
    expect(of('labels') && wrongIn(of('labels') as never, 'a')).toMatch('names and values');
    expect(wrongIn(of('position') as never, 'x')).toBe('Enter a number.');
    expect(wrongIn(of('position') as never, '')).toBeUndefined();
  });
});
