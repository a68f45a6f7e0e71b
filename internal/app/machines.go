package app

import (
	"context"
	"errors"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/rack"
)

// AddMachine enters one of the operator's own servers.
func (o *Operator) AddMachine(ctx context.Context, f rack.MachineFields) (rack.Machine, error) {
	return o.onMachine(ctx, "createMachine", func(ctx context.Context, tx *db.Tx) (rack.Machine, error) {
		return o.Machines.Add(ctx, tx, f)
	})
}

// ActOnMachine does to a machine what one of the methods of rack.Service does, and records it as
// the API's operation with that ID.
func (o *Operator) ActOnMachine(
	ctx context.Context, operation string, of id.ID, reason string,
	do func(ctx context.Context, tx *db.Tx, of id.ID, reason string) (rack.Machine, error),
) (rack.Machine, error) {
	return o.onMachine(ctx, operation, func(ctx context.Context, tx *db.Tx) (rack.Machine, error) {
		return do(ctx, tx, of, reason)
	})
}

// UpdateMachine changes what the operator says of a machine.
func (o *Operator) UpdateMachine(ctx context.Context, of id.ID, f rack.MachineFields) (rack.Machine, error) {
	return o.onMachine(ctx, "updateMachine", func(ctx context.Context, tx *db.Tx) (rack.Machine, error) {
		return o.Machines.Update(ctx, tx, of, f)
	})
}

// DestroyMachineDrive says that a drive of a machine was destroyed.
func (o *Operator) DestroyMachineDrive(
	ctx context.Context, of id.ID, serial, replacement, reason string,
) (rack.Machine, error) {
	return o.onMachine(ctx, "destroyMachineDrive", func(ctx context.Context, tx *db.Tx) (rack.Machine, error) {
		return o.Machines.DestroyDrive(ctx, tx, of, serial, replacement, reason)
	})
}

// RemoveMachine deletes a machine.
func (o *Operator) RemoveMachine(ctx context.Context, of id.ID, drivesDestroyed bool) (rack.Machine, error) {
	return o.onMachine(ctx, "deleteMachine", func(ctx context.Context, tx *db.Tx) (rack.Machine, error) {
		return o.Machines.Remove(ctx, tx, of, drivesDestroyed)
	})
}

func (o *Operator) onMachine(
	ctx context.Context, operation string, do func(ctx context.Context, tx *db.Tx) (rack.Machine, error),
) (m rack.Machine, err error) {
	err = o.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if m, err = do(ctx, tx); err != nil {
			return err
		}
		return o.record(ctx, tx, "", operation, m.ID)
	})
	return m, err
}

// SetMachineImage enters or replaces an operating system of own servers.
func (o *Operator) SetMachineImage(ctx context.Context, i rack.Image) (set rack.Image, err error) {
	err = o.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if set, err = o.Machines.SetImage(ctx, tx, i); err != nil {
			return err
		}
		return o.record(ctx, tx, "", "setMachineImage", "")
	})
	return set, err
}

// RemoveMachineImage deletes an operating system of own servers.
func (o *Operator) RemoveMachineImage(ctx context.Context, name string) (gone rack.Image, err error) {
	err = o.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if gone, err = o.Machines.RemoveImage(ctx, tx, name); err != nil {
			return err
		}
		return o.record(ctx, tx, "", "deleteMachineImage", "")
	})
	return gone, err
}

// errDryRun rolls a transaction back that was only to be tried.
var errDryRun = errors.New("dry run")

// ImportMachines enters all machines of a file or none. A dry run checks them only.
func (o *Operator) ImportMachines(ctx context.Context, rows []rack.Row, dryRun bool) (added []rack.Machine, err error) {
	err = o.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if added, err = o.Machines.Import(ctx, tx, rows); err != nil {
			return err
		}
		if dryRun {
			return errDryRun
		}
		for _, m := range added {
			if err := o.record(ctx, tx, "", "createMachine", m.ID); err != nil {
				return err
			}
		}
		return nil
	})
	if errors.Is(err, errDryRun) {
		err = nil
	}
	return added, err
}
