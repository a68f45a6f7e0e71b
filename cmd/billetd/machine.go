package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/app"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/rack"
	"github.com/billetcloud/billet/internal/rackagent"
	"github.com/spf13/cobra"
)

func machines() *cobra.Command {
	cmd := &cobra.Command{
		Use: "machines", Aliases: []string{"machine"},
		Short: "Manage your own servers",
		Long: `Manage your own servers, which are controlled through their BMCs by Redfish.

  billetd machines import servers.csv --dry-run
  billetd machines add --name gpu-01 --bmc-url https://10.0.0.17 --bmc-user billet --bmc-password-stdin …
  billetd machines list

The passwords of the BMCs are stored encrypted. Servers without a BMC are used by SSH: --ssh-address.`,
	}
	cmd.AddCommand(machineList(), machineHistory(), machineAdd(), machineSet(), machineImport(),
		machineAction("inspect", "inspectMachine",
			"Read a machine's hardware and compare it with what is for sale; at first, also erase its drives",
			func(o *app.Operator) machineDo { return o.Machines.Inspect }),
		machineAction("validate", "validateMachine",
			"Compare a machine that is ready with what is for sale again, without starting it",
			func(o *app.Operator) machineDo { return o.Machines.Validate }),
		machineAction("release", "releaseMachine", "Take a machine back; it is erased or inspected before it is sold",
			func(o *app.Operator) machineDo { return o.Machines.Release }),
		machineAction("drain", "drainMachine", "Take a machine out; a tenant keeps it until the end",
			func(o *app.Operator) machineDo { return o.Machines.Drain }),
		machineAction("quarantine", "quarantineMachine", "Stop selling a machine until it is released",
			func(o *app.Operator) machineDo { return o.Machines.Quarantine }),
		machineErasures(), machineDestroyDrive(), machineRemove(), machineImages())
	return cmd
}

// machineDo does something to a machine for a reason.
type machineDo = func(ctx context.Context, tx *db.Tx, of id.ID, reason string) (rack.Machine, error)

func machineList() *cobra.Command {
	var p db.Page
	var state string
	return operatorCommand("list", "List machines, those that were added last first",
		func(cmd *cobra.Command) {
			page(cmd, &p)
			cmd.Flags().StringVar(&state, "state", "", "only machines in this `state`, such as ready")
		},
		func(cmd *cobra.Command, o *app.Operator, out *output) error {
			if err := checkPage(p); err != nil {
				return err
			}
			all, _, err := o.Machines.List(cmd.Context(), o.DB, rack.Filter{State: rack.State(state)}, p)
			if err != nil {
				return err
			}
			return printMachines(cmd, out, all, all)
		})
}

func machineHistory() *cobra.Command {
	return operatorCommandOn("history MACHINE", "List a machine's changes of state, newest first",
		func(*cobra.Command) {},
		func(cmd *cobra.Command, on string, o *app.Operator, out *output) error {
			all, _, err := o.Machines.History(cmd.Context(), o.DB, id.ID(on), db.Page{Number: 1, Limit: 100})
			if err != nil {
				return err
			}
			var rows [][]any
			for _, c := range all {
				rows = append(rows, []any{c.At.Format(time.RFC3339), c.To, c.Cause, c.Reason})
			}
			return out.print(cmd.OutOrStdout(), all, []any{"AT", "STATE", "CAUSE", "REASON"}, rows)
		})
}

func machineErasures() *cobra.Command {
	return operatorCommandOn("erasures MACHINE", "List how a machine was erased after deployments, newest first",
		func(*cobra.Command) {},
		func(cmd *cobra.Command, on string, o *app.Operator, out *output) error {
			all, _, err := o.Machines.Erasures(cmd.Context(), o.DB, id.ID(on), db.Page{Number: 1, Limit: 100})
			if err != nil {
				return err
			}
			var rows [][]any
			for _, e := range all {
				verdict := "passed"
				if !e.Passed {
					verdict = "failed"
				}
				at := e.EndedAt.Format(time.RFC3339)
				rows = append(rows, []any{at, e.DeploymentID, verdict, len(e.Drives), e.Reason})
			}
			return out.print(cmd.OutOrStdout(), all, []any{"AT", "DEPLOYMENT", "VERDICT", "DRIVES", "REASON"}, rows)
		})
}

func machineImages() *cobra.Command {
	cmd := &cobra.Command{Use: "images", Short: "Manage the operating systems of your own servers"}
	var i rack.Image
	var format string
	cmd.AddCommand(
		operatorCommand("list", "List images", func(*cobra.Command) {},
			func(cmd *cobra.Command, o *app.Operator, out *output) error {
				all, err := o.Machines.Images(cmd.Context(), o.DB)
				if err != nil {
					return err
				}
				return printImages(cmd, out, all, all)
			}),
		operatorCommandOn("set NAME", "Add an image, or replace the one of that name",
			func(cmd *cobra.Command) {
				f := cmd.Flags()
				f.StringVar(&i.URL, "url", "", "`URL` of the disk image, which needs cloud-init and UEFI")
				f.StringVar(&i.SHA256, "sha256", "", "`SHA-256` of the file")
				f.StringVar(&format, "format", string(rackagent.QCOW2), "`format` of the file: raw or qcow2")
				f.Int64Var(&i.Bytes, "bytes", 0, "`size` of the file in bytes")
				requireFlags(cmd, "url", "sha256", "bytes")
			},
			func(cmd *cobra.Command, on string, o *app.Operator, out *output) error {
				i.Name, i.Format = on, rackagent.Format(format)
				set, err := o.SetMachineImage(cmd.Context(), i)
				if err != nil {
					return everyFault(err)
				}
				return printImages(cmd, out, set, []rack.Image{set})
			}),
		operatorCommandOn("delete NAME", "Delete an image", func(*cobra.Command) {},
			func(cmd *cobra.Command, on string, o *app.Operator, out *output) error {
				gone, err := o.RemoveMachineImage(cmd.Context(), on)
				if err != nil {
					return err
				}
				return printImages(cmd, out, gone, []rack.Image{gone})
			}))
	return cmd
}

func printImages(cmd *cobra.Command, out *output, v any, all []rack.Image) error {
	var rows [][]any
	for _, i := range all {
		rows = append(rows, []any{i.Name, i.Format, i.Bytes, i.URL})
	}
	return out.print(cmd.OutOrStdout(), v, []any{"NAME", "FORMAT", "BYTES", "URL"}, rows)
}

// machineFlags are the flags of a machine.
type machineFlags struct {
	texts    map[string]*string
	numbers  map[string]*int64
	lists    map[string]*[]string
	labels   map[string]string
	rotate   bool
	price    string
	password secretIn
}

func (f *machineFlags) flags(cmd *cobra.Command) {
	f.texts, f.numbers, f.lists = map[string]*string{}, map[string]*int64{}, map[string]*[]string{}
	f.password = secretIn{
		stdinFlag: "bmc-password-stdin", fileFlag: "bmc-password-file", what: "password of the BMC",
	}
	s := cmd.Flags()
	for name, usage := range map[string]string{
		"name":    "`name`, which no other machine has",
		"bmc-url": "`URL` of the BMC", "bmc-user": "user `name` at the BMC",
		"bmc-certificate-sha256": "`SHA-256` of the certificate that the BMC must show; default: a trusted one",
		"address":                "IP `address` with the length of its prefix, such as 192.0.2.10/24",
		"gateway":                "IP `address` of the gateway", "region": "`slug` of the region",
		"fabric":      "`name` of the fast network that connects it with others",
		"rack":        "`name` of the rack",
		"gpu-type":    "GPU `type`, such as \"NVIDIA H100\"",
		"ssh-address": "host and port at which a `server` without a BMC answers SSH",
		"ssh-user":    "user `name` there; default: root", "ssh-host-key": "public host `key` that it must show",
		"idle-image": "`name` of the image that a server without a BMC gets after each erasure",
	} {
		f.texts[name] = s.String(name, "", usage)
	}
	for name, usage := range map[string]string{
		"position": "lowest rack `unit` that it takes, from 1 at the bottom", "height": "`number` of rack units",
		"gpu-count": "`number` of GPUs", "gpu-memory-gb": "memory of one GPU in `GB`",
		"vcpus": "`number` of processor threads", "memory-gb": "memory in `GB`",
		"storage-gb": "size of its drives together in `GB`",
	} {
		f.numbers[name] = s.Int64(name, 0, usage)
	}
	f.lists["mac"] = s.StringSlice("mac", nil, "MAC `address` of the network card with the address, then of others")
	f.lists["nameserver"] = s.StringSlice("nameserver", nil, "IP `address` of a DNS server")
	s.StringToStringVar(&f.labels, "label", nil, "label as `name=value`")
	s.BoolVar(&f.rotate, "rotate-password", true, "replace the password of the BMC after each tenant")
	s.StringVar(&f.price, "hourly-price", "", "price in US `dollars` an hour, before the markup")
	f.password.flags(cmd)
}

// fields returns the fields of the given flags. The password is read if it is given, or required.
func (f *machineFlags) fields(cmd *cobra.Command, required bool) (m rack.MachineFields, err error) {
	if required || f.password.given() {
		password, err := f.password.read(cmd.InOrStdin())
		if err != nil {
			return m, err
		}
		password = strings.TrimRight(password, "\r\n")
		m.BMCPassword = &password
	}
	for name, to := range map[string]**string{
		"name": &m.Name, "bmc-url": &m.BMCURL, "bmc-user": &m.BMCUser, "bmc-certificate-sha256": &m.BMCCertificate,
		"address": &m.Address, "gateway": &m.Gateway, "region": &m.Region, "fabric": &m.Fabric, "rack": &m.Rack,
		"gpu-type": &m.GPUType, "ssh-address": &m.SSHAddress, "ssh-user": &m.SSHUser, "ssh-host-key": &m.SSHHostKey,
		"idle-image": &m.IdleImage,
	} {
		*to = given(cmd, name, f.texts[name])
	}
	for name, to := range map[string]**int64{
		"position": &m.Position, "height": &m.Height, "gpu-count": &m.GPUCount, "gpu-memory-gb": &m.GPUMemoryGB,
		"vcpus": &m.VCPUs, "memory-gb": &m.MemoryGB, "storage-gb": &m.StorageGB,
	} {
		*to = given(cmd, name, f.numbers[name])
	}
	m.MACs, m.Nameservers = given(cmd, "mac", f.lists["mac"]), given(cmd, "nameserver", f.lists["nameserver"])
	m.Labels, m.RotatePassword = given(cmd, "label", &f.labels), given(cmd, "rotate-password", &f.rotate)
	if f.price != "" {
		price, err := money.Parse(f.price)
		if err != nil {
			return m, fmt.Errorf("--hourly-price: %w", err)
		}
		m.HourlyPrice = &price
	}
	return m, nil
}

// given returns the value of a flag, or nil if it was not given.
func given[T any](cmd *cobra.Command, flag string, value *T) *T {
	if !cmd.Flags().Changed(flag) {
		return nil
	}
	return value
}

func machineAdd() *cobra.Command {
	f := &machineFlags{}
	return operatorCommand("add", "Add a machine", f.flags,
		func(cmd *cobra.Command, o *app.Operator, out *output) error {
			fields, err := f.fields(cmd, *f.texts["ssh-address"] == "")
			if err != nil {
				return err
			}
			m, err := o.AddMachine(cmd.Context(), fields)
			if err != nil {
				return everyFault(err)
			}
			if m.OverSSH() {
				fmt.Fprintf(cmd.ErrOrStderr(), "Before you inspect it, let %s sign in there with this key:\n%s\n",
					m.SSHUser, m.SSHPublicKey)
			}
			return printMachines(cmd, out, m, []rack.Machine{m})
		})
}

func machineSet() *cobra.Command {
	f := &machineFlags{}
	return operatorCommandOn("set MACHINE", "Change what the given flags say of a machine", f.flags,
		func(cmd *cobra.Command, on string, o *app.Operator, out *output) error {
			fields, err := f.fields(cmd, false)
			if err == nil && fields.Empty() {
				err = errors.New("say what to change, such as --hourly-price 12.50")
			}
			if err != nil {
				return err
			}
			m, err := o.UpdateMachine(cmd.Context(), id.ID(on), fields)
			if err != nil {
				return everyFault(err)
			}
			return printMachines(cmd, out, m, []rack.Machine{m})
		})
}

func machineDestroyDrive() *cobra.Command {
	var serial, replacement, why string
	return operatorCommandOn("destroy-drive MACHINE",
		"Declare one drive of a machine destroyed; the next erasure does not need it",
		func(cmd *cobra.Command) {
			f := cmd.Flags()
			f.StringVar(&serial, "serial", "", "serial `number` of the drive")
			f.StringVar(&replacement, "replacement", "", "serial `number` of the drive that is in its place, if any")
			f.StringVar(&why, "reason", "", "`text` that the record of the erasure shows, also to the tenant")
			requireFlags(cmd, "serial", "reason")
		},
		func(cmd *cobra.Command, on string, o *app.Operator, out *output) error {
			m, err := o.DestroyMachineDrive(cmd.Context(), id.ID(on), serial, replacement, why)
			if err != nil {
				return everyFault(err)
			}
			return printMachines(cmd, out, m, []rack.Machine{m})
		})
}

func machineImport() *cobra.Command {
	var dryRun bool
	return operatorCommandOn("import FILE.csv|FILE.yaml", "Add all machines of a file, or none",
		func(cmd *cobra.Command) {
			cmd.Flags().BoolVar(&dryRun, "dry-run", false, "check the file and add nothing")
		},
		func(cmd *cobra.Command, file string, o *app.Operator, out *output) error {
			rows, err := readMachines(file)
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			added, err := o.ImportMachines(cmd.Context(), rows, dryRun)
			if err != nil {
				return fmt.Errorf("%s: %w", file, everyFault(err))
			}
			if dryRun {
				fmt.Fprintf(cmd.ErrOrStderr(), "%d machines can be added; nothing was changed.\n", len(added))
			}
			return printMachines(cmd, out, added, added)
		})
}

func readMachines(file string) ([]rack.Row, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	switch strings.ToLower(filepath.Ext(file)) {
	case ".csv":
		return rack.ReadCSV(f)
	case ".yaml", ".yml":
		return rack.ReadYAML(f)
	}
	return nil, errors.New("the name must end in .csv, .yaml or .yml")
}

// everyFault returns an error with all faults that another one has.
func everyFault(err error) error {
	e, is := errors.AsType[*apierr.Error](err)
	if !is || len(e.Fields()) < 2 {
		return err
	}
	var all []error
	for _, f := range e.Fields() {
		all = append(all, fmt.Errorf("%s: %s", f.Field, f.Message))
	}
	return errors.Join(all...)
}

func machineAction(name, operation, short string, do func(o *app.Operator) machineDo) *cobra.Command {
	var reason string
	return operatorCommandOn(name+" MACHINE", short,
		func(cmd *cobra.Command) {
			cmd.Flags().StringVar(&reason, "reason", "", "`text` that the machine's history keeps")
		},
		func(cmd *cobra.Command, on string, o *app.Operator, out *output) error {
			m, err := o.ActOnMachine(cmd.Context(), operation, id.ID(on), reason, do(o))
			if err != nil {
				return err
			}
			return printMachines(cmd, out, m, []rack.Machine{m})
		})
}

func machineRemove() *cobra.Command {
	var destroyed bool
	return operatorCommandOn("remove MACHINE", "Remove a machine and its history",
		func(cmd *cobra.Command) {
			cmd.Flags().BoolVar(&destroyed, "drives-destroyed", false,
				"remove it although it may have a tenant's data: its drives are destroyed")
		},
		func(cmd *cobra.Command, on string, o *app.Operator, out *output) error {
			m, err := o.RemoveMachine(cmd.Context(), id.ID(on), destroyed)
			if err != nil {
				return err
			}
			return printMachines(cmd, out, m, []rack.Machine{m})
		})
}

func printMachines(cmd *cobra.Command, out *output, v any, all []rack.Machine) error {
	var rows [][]any
	for _, m := range all {
		place := m.Rack
		if m.Position > 0 {
			place = strings.TrimSpace(fmt.Sprintf("%s U%d", m.Rack, m.Position))
		}
		rows = append(rows, []any{
			m.ID, m.Name, m.State, fmt.Sprintf("%d× %s", m.GPUCount, m.GPUType), m.Region, place, m.Address,
			m.HourlyPrice, cmp.Or(m.Detail, m.Reason),
		})
	}
	return out.print(cmd.OutOrStdout(), v,
		[]any{"ID", "NAME", "STATE", "GPUS", "REGION", "RACK", "ADDRESS", "USD/HOUR", "DETAIL"}, rows)
}
