package bmc

import (
	"context"
	"net"
	"slices"
)

// Inventory is what a BMC knows of its server. Texts are the BMC's own, cut to 500 characters.
type Inventory struct {
	Serial, Model, Manufacturer string
	// Firmware is the version of each firmware by its name: "BIOS", "BMC", and the entries of the
	// BMC's firmware inventory.
	Firmware map[string]string
	// MACs are the addresses of the server's network interfaces, as "aa:bb:cc:dd:ee:ff", sorted.
	MACs []string
	// GPUs are those that the BMC lists. Many BMCs list none.
	GPUs []GPU
	// VirtualCD reports whether BootCD can work.
	VirtualCD  bool
	SecureBoot SecureBoot
	// Missing are parts that the BMC refused to list, with its reasons.
	Missing []string
}

// GPU is a graphics processor.
type GPU struct{ Name, Model, Serial string }

// SecureBoot is whether firmware starts signed programs only.
type SecureBoot string

// The states of Secure Boot.
const (
	SecureBootOn      SecureBoot = "on"
	SecureBootOff     SecureBoot = "off"
	SecureBootUnknown SecureBoot = "unknown"
)

// Inventory reads what the server is made of. A part that the BMC cannot list is left out.
func (b *BMC) Inventory(ctx context.Context) (Inventory, error) {
	s, err := b.read(ctx)
	if err != nil {
		return Inventory{}, err
	}
	out := Inventory{
		Serial: b.plain(s.SerialNumber), Model: b.plain(s.Model), Manufacturer: b.plain(s.Manufacturer),
		Firmware: map[string]string{}, SecureBoot: SecureBootUnknown,
	}
	if s.BiosVersion != "" {
		out.Firmware["BIOS"] = b.plain(s.BiosVersion)
	}
	cd, err := b.findCD(ctx)
	if err != nil {
		return Inventory{}, err
	}
	out.VirtualCD = cd != ""
	for _, part := range []struct {
		name string
		read func(context.Context, system, *Inventory) error
	}{
		{"firmware of the BMC", b.readManagers},
		{"network interfaces", b.readMACs},
		{"processors", b.readGPUs},
		{"Secure Boot", b.readSecureBoot},
		{"firmware inventory", b.readFirmware},
	} {
		if err := part.read(ctx, s, &out); err != nil {
			if !answered(err) || KindOf(err) == KindUnreachable {
				return Inventory{}, err
			}
			out.Missing = append(out.Missing, part.name+": "+err.Error())
		}
	}
	return out, nil
}

func (b *BMC) readManagers(ctx context.Context, _ system, out *Inventory) error {
	for _, path := range b.managers {
		var m struct{ FirmwareVersion string }
		if _, err := b.get(ctx, path, &m); err != nil {
			return err
		}
		if m.FirmwareVersion != "" {
			out.Firmware["BMC"] = b.plain(m.FirmwareVersion)
			return nil
		}
	}
	return nil
}

// each reads the members of a collection that the BMC may not have.
func each[T any](ctx context.Context, b *BMC, collection string, f func(T)) error {
	if collection == "" {
		return nil
	}
	paths, err := b.members(ctx, collection)
	if err != nil {
		return err
	}
	for _, path := range paths {
		var v T
		if _, err := b.get(ctx, path, &v); err != nil {
			return err
		}
		f(v)
	}
	return nil
}

func (b *BMC) readMACs(ctx context.Context, s system, out *Inventory) error {
	type nic struct{ MACAddress, PermanentMACAddress string }
	err := each(ctx, b, s.EthernetInterfaces.ID, func(n nic) {
		text := n.PermanentMACAddress
		if text == "" {
			text = n.MACAddress
		}
		if mac, err := net.ParseMAC(text); err == nil {
			out.MACs = append(out.MACs, mac.String())
		}
	})
	slices.Sort(out.MACs)
	out.MACs = slices.Compact(out.MACs)
	return err
}

// readGPUs reads the processors of the system, and where ours was the only one that boots, also
// those of the GPU baseboards, which are systems of their own.
func (b *BMC) readGPUs(ctx context.Context, s system, out *Inventory) error {
	collections := []string{s.Processors.ID}
	for _, path := range b.systems {
		if b.address.System != "" || path == b.system {
			continue
		}
		var other system
		if _, err := b.get(ctx, path, &other); err != nil {
			return err
		}
		collections = append(collections, other.Processors.ID)
	}
	type processor struct{ ID, Name, ProcessorType, Model, SerialNumber string }
	for _, c := range collections {
		if err := each(ctx, b, c, func(p processor) {
			if p.ProcessorType == "GPU" {
				out.GPUs = append(out.GPUs, GPU{b.plain(p.Name), b.plain(p.Model), b.plain(p.SerialNumber)})
			}
		}); err != nil {
			return err
		}
	}
	return nil
}

// SecureBoot reads whether the firmware starts signed programs only.
func (b *BMC) SecureBoot(ctx context.Context) (SecureBoot, error) {
	s, err := b.read(ctx)
	if err != nil {
		return SecureBootUnknown, err
	}
	out := Inventory{SecureBoot: SecureBootUnknown}
	err = b.readSecureBoot(ctx, s, &out)
	return out.SecureBoot, err
}

func (b *BMC) readSecureBoot(ctx context.Context, s system, out *Inventory) error {
	if s.SecureBoot.ID == "" {
		return nil
	}
	var v struct{ SecureBootCurrentBoot string }
	if _, err := b.get(ctx, s.SecureBoot.ID, &v); err != nil {
		return err
	}
	switch v.SecureBootCurrentBoot {
	case "Enabled":
		out.SecureBoot = SecureBootOn
	case "Disabled":
		out.SecureBoot = SecureBootOff
	}
	return nil
}

func (b *BMC) readFirmware(ctx context.Context, _ system, out *Inventory) error {
	if b.updates == "" {
		return nil
	}
	var service struct{ FirmwareInventory link }
	if _, err := b.get(ctx, b.updates, &service); err != nil {
		return err
	}
	type firmware struct {
		ID      string `json:"Id"`
		Version string
	}
	return each(ctx, b, service.FirmwareInventory.ID, func(f firmware) {
		if f.ID != "" && f.Version != "" {
			out.Firmware[b.plain(f.ID)] = b.plain(f.Version)
		}
	})
}
