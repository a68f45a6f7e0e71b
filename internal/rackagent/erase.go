package rackagent

import (
	"bytes"
	"cmp"
	"context"
	"crypto/cipher"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// eraser erases the drives of a machine.
type eraser struct {
	now  func() time.Time
	plan ErasePlan
}

// all erases the drives at the same time. The record has each drive that was found and each that
// is expected. progress is called with percent.
func (e eraser) all(ctx context.Context, drives []*Drive, expected []string, progress func(int)) Erasure {
	serials := map[string]int{}
	for _, d := range drives {
		serials[d.Serial]++
	}
	records := make([]DriveErasure, len(drives))
	done := make([]atomic.Int64, len(drives))
	var all sync.WaitGroup
	for i, d := range drives {
		all.Go(func() {
			records[i] = e.drive(ctx, d, func(percent int) {
				done[i].Store(int64(percent))
				sum := 0
				for j := range done {
					sum += int(done[j].Load())
				}
				progress(sum / len(done))
			})
			if r := &records[i]; r.Serial == "" || serials[r.Serial] > 1 {
				r.Verdict, r.Detail = Failed, "the drive has no serial of its own, so it cannot be accounted for"
			}
			if r := &records[i]; r.Verdict == Erased && len(expected) > 0 && !slices.Contains(expected, r.Serial) {
				r.Verdict, r.Detail = Unexpected, "erased, but the machine is not known to have this drive"
			}
		})
	}
	all.Wait()
	now := e.now()
	for _, serial := range expected {
		if serials[serial] == 0 {
			records = append(records, DriveErasure{
				Serial: serial, StartedAt: now, EndedAt: now, Verdict: Missing,
				Detail: "the machine does not show this drive",
			})
		}
	}
	slices.SortFunc(records, func(a, b DriveErasure) int { return cmp.Compare(a.Serial, b.Serial) })
	return Erasure{Drives: records}
}

// drive erases one drive by the first method that succeeds, and proves it.
func (e eraser) drive(ctx context.Context, d *Drive, progress func(int)) DriveErasure {
	r := DriveErasure{Serial: d.Serial, Model: d.Model, Bytes: d.size(), StartedAt: e.now(), Verdict: Failed}
	var faults []string
	switch {
	case d.Fault != "":
		faults = append(faults, d.Fault)
	case len(d.Spaces) == 0:
		faults = append(faults, "the drive shows nothing that can be read or written")
	default:
		for _, m := range e.methods(d) {
			r.Method = m
			err := e.try(ctx, d, &r, progress)
			if err == nil {
				break
			}
			faults = append(faults, fmt.Sprintf("%s: %v", m, err))
			if r.Verdict == MarksFound { // the drive's word is worth nothing: no other method is tried
				break
			}
		}
	}
	if r.Method == "" && len(faults) == 0 {
		faults = append(faults, "the drive has none of the allowed methods")
	}
	r.Detail, r.EndedAt = strings.Join(faults, "; "), e.now()
	progress(100)
	return r
}

// methods returns those that are allowed and that the drive has, in order of the plan.
func (e eraser) methods(d *Drive) []Method {
	allowed := e.plan.Methods
	if len(allowed) == 0 {
		allowed = Methods()
	}
	var has []Method
	for _, m := range allowed {
		if m == Overwrite || slices.Contains(d.Methods, m) {
			has = append(has, m)
		}
	}
	return has
}

// try erases by r.Method with new marks, and sets the verdict.
func (e eraser) try(ctx context.Context, d *Drive, r *DriveErasure, progress func(int)) error {
	r.Marks, r.MarksGone = 0, 0
	if err := ctx.Err(); err != nil {
		return err
	}
	var written []*marks
	for _, s := range d.Spaces {
		m, err := newMarks(s)
		if err == nil {
			err = m.write()
		}
		if err != nil {
			return err
		}
		written = append(written, m)
		r.Marks += len(m.offsets)
	}
	if r.Method == Overwrite {
		if err := overwrite(ctx, d, progress); err != nil {
			return err
		}
	} else if err := d.Erase(ctx, r.Method); err != nil {
		return err
	}
	for _, m := range written {
		n, err := m.gone()
		r.MarksGone += n
		if err != nil {
			return err
		}
	}
	if r.MarksGone < r.Marks {
		r.Verdict = MarksFound
		return fmt.Errorf("the drive reported success, but %d of %d marks are still there",
			r.Marks-r.MarksGone, r.Marks)
	}
	r.Verdict = Erased
	return nil
}

// overwrite writes random bytes over all spaces. A drive cannot compress them away, as it can
// zeros. Samples must then read as they were written.
func overwrite(ctx context.Context, d *Drive, progress func(int)) error {
	content, err := randomContent()
	if err != nil {
		return err
	}
	var written int64
	b := make([]byte, 4<<20)
	for _, s := range d.Spaces {
		for offset := int64(0); offset < s.Size(); offset += int64(len(b)) {
			if err := ctx.Err(); err != nil {
				return err
			}
			part := b[:min(int64(len(b)), s.Size()-offset)]
			fill(part, content, offset)
			if _, err := s.WriteAt(part, offset); err != nil {
				return err
			}
			written += int64(len(part))
			progress(int(written * 100 / d.size()))
		}
		if err := overwritten(s, content); err != nil {
			return err
		}
	}
	return nil
}

// overwritten reads samples of a space, which must have the content.
func overwritten(s Space, content cipher.Block) error {
	if err := s.Flush(); err != nil {
		return err
	}
	samples, err := newMarks(s)
	if err != nil {
		return err
	}
	want, got := make([]byte, markSize), make([]byte, markSize)
	for _, offset := range samples.offsets {
		fill(want, content, offset)
		if _, err := s.ReadAt(got, offset); err != nil {
			return err
		}
		if !bytes.Equal(want, got) {
			return errors.New("what was written over the drive is not there")
		}
	}
	return nil
}
