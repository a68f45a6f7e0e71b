package bmc

import (
	"context"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
)

// media is a VirtualMedia.
type media struct {
	Image      string
	Inserted   *bool // absent at some BMCs
	MediaTypes []string
	Actions    struct {
		Insert struct {
			Target string `json:"target"`
		} `json:"#VirtualMedia.InsertMedia"`
		Eject struct {
			Target string `json:"target"`
		} `json:"#VirtualMedia.EjectMedia"`
	}
}

func (m media) inserted() bool {
	if m.Inserted != nil {
		return *m.Inserted
	}
	return m.Image != ""
}

// findCD returns the path of the virtual CD, "" where there is none. It is below the system at
// newer BMCs, and below the manager at older ones.
func (b *BMC) findCD(ctx context.Context) (string, error) {
	s, err := b.read(ctx)
	if err != nil {
		return "", err
	}
	collections := []string{s.VirtualMedia.ID}
	for _, path := range b.managers {
		var m struct{ VirtualMedia link }
		if _, err := b.get(ctx, path, &m); err != nil {
			return "", err
		}
		collections = append(collections, m.VirtualMedia.ID)
	}
	for _, collection := range collections {
		if collection == "" {
			continue
		}
		slots, err := b.members(ctx, collection)
		if withStatus(err, http.StatusNotFound) {
			continue // a link to what this BMC does not have
		}
		if err != nil {
			return "", err
		}
		for _, slot := range slots {
			var m media
			if _, err := b.get(ctx, slot, &m); err != nil {
				return "", err
			}
			isCD := slices.Contains(m.MediaTypes, "CD") || slices.Contains(m.MediaTypes, "DVD")
			if isCD && m.Actions.Insert.Target != "" {
				return slot, nil
			}
		}
	}
	return "", nil
}

// BootCD inserts the image at the URL, which the BMC reads itself, and has the next start be from
// it, by UEFI. It changes no power. What was inserted before is ejected. The last part of the URL's
// path is a secret: no error has it, whatever the BMC repeats.
func (b *BMC) BootCD(ctx context.Context, url string) error {
	b.hide(url)
	cd, err := b.needCD(ctx)
	if err != nil {
		return err
	}
	if err := b.eject(ctx, cd); err != nil {
		return err
	}
	if err := b.insert(ctx, cd, url); err != nil {
		return err
	}
	return b.bootOnce(ctx)
}

// EjectCD removes the image, if one is inserted, and a boot override that would stay.
func (b *BMC) EjectCD(ctx context.Context) error {
	cd, err := b.needCD(ctx)
	if err != nil {
		return err
	}
	if err := b.eject(ctx, cd); err != nil {
		return err
	}
	s, err := b.read(ctx)
	if err != nil || s.Boot.Enabled != "Continuous" {
		return err
	}
	return b.setBoot(ctx, boot{Enabled: "Disabled"})
}

func (b *BMC) needCD(ctx context.Context) (string, error) {
	cd, err := b.findCD(ctx)
	if err == nil && cd == "" {
		err = failure(KindUnsupported, "the BMC has no virtual CD that takes a URL; its license may lack it")
	}
	return cd, err
}

func (b *BMC) eject(ctx context.Context, cd string) error {
	var m media
	if _, err := b.get(ctx, cd, &m); err != nil {
		return err
	}
	if !m.inserted() && m.Image == "" {
		return nil
	}
	b.hide(m.Image)
	if m.Actions.Eject.Target == "" {
		return failure(KindUnsupported, "the BMC cannot eject its virtual CD")
	}
	refused := b.post(ctx, m.Actions.Eject.Target, map[string]any{})
	if refused != nil && !answered(refused) {
		return refused
	}
	out, err := b.poll(ctx, b.settle(refused), func() (bool, error) {
		var m media
		_, err := b.get(ctx, cd, &m)
		return !m.inserted(), err
	})
	switch {
	case err != nil || out:
		return err
	case refused != nil:
		return refused
	}
	return failure(KindRejected, "the BMC accepted to eject the virtual CD, and still shows one")
}

// insert tries the ways in which BMCs want to be told: most need the image alone, some refuse
// anything else, some need to be told that it is to be inserted, some how it is transferred.
func (b *BMC) insert(ctx context.Context, cd, at string) error {
	protocol, host := "HTTP", at
	if u, err := url.Parse(at); err == nil {
		host = u.Host
	}
	if strings.HasPrefix(at, "https:") {
		protocol = "HTTPS"
	}
	var last error
	for _, body := range []map[string]any{
		{"Image": at},
		{"Image": at, "Inserted": true, "WriteProtected": true},
		{"Image": at, "TransferProtocolType": protocol, "TransferMethod": "Stream"},
	} {
		var m media
		if _, err := b.get(ctx, cd, &m); err != nil {
			return err
		}
		refused := b.post(ctx, m.Actions.Insert.Target, body)
		if refused != nil && KindOf(refused) != KindRejected {
			return refused
		}
		in, err := b.poll(ctx, b.settle(refused), func() (bool, error) {
			var m media
			_, err := b.get(ctx, cd, &m)
			return m.inserted() && m.Image != "", err
		})
		if err != nil || in {
			return err
		}
		if last = refused; last == nil {
			last = failure(KindRejected, "the BMC accepted the image, and shows no virtual CD; "+
				"check that it can reach %s", b.plain(host))
		}
	}
	return last
}

// bootOnce sets the boot override. BMCs that ignore it for one start get it until EjectCD.
func (b *BMC) bootOnce(ctx context.Context) error {
	s, err := b.read(ctx)
	if err != nil {
		return err
	}
	target := "Cd"
	if n := s.Boot.Targets; len(n) > 0 && !slices.Contains(n, target) {
		if target = "UsbCd"; !slices.Contains(n, target) {
			return failure(KindUnsupported, "the BMC cannot have the server start from a CD")
		}
	}
	err = b.setBoot(ctx, boot{Target: target, Enabled: "Once", Mode: "UEFI"})
	if err == nil || KindOf(err) != KindRejected {
		return err
	}
	return b.setBoot(ctx, boot{Target: target, Enabled: "Continuous", Mode: "UEFI"})
}

// hide keeps the end of an image's URL out of errors.
func (b *BMC) hide(at string) {
	end := path.Base(at)
	if len(end) > hiddenLength && !slices.Contains(b.images, end) {
		b.images = append(b.images, end)
	}
}

// settle returns how long to wait for an effect. After a refusal one read is enough.
func (b *BMC) settle(refused error) time.Duration {
	if refused != nil {
		return 0
	}
	return b.address.Wait
}

func (b *BMC) setBoot(ctx context.Context, want boot) error {
	change := map[string]string{"BootSourceOverrideEnabled": want.Enabled}
	if want.Target != "" {
		change["BootSourceOverrideTarget"] = want.Target
	}
	if want.Mode != "" {
		change["BootSourceOverrideMode"] = want.Mode
	}
	if err := b.patch(ctx, b.system, map[string]any{"Boot": change}); err != nil {
		return err
	}
	var got boot
	taken, err := b.poll(ctx, b.address.Wait/6, func() (bool, error) {
		s, err := b.read(ctx)
		got = s.Boot
		return got.Enabled == want.Enabled && (want.Target == "" || got.Target == want.Target) &&
			(want.Mode == "" || got.Mode == want.Mode || got.Mode == ""), err
	})
	if err == nil && !taken {
		err = failure(KindRejected, "the BMC accepted the boot override %s %s, and shows %s %s",
			want.Enabled, want.Target, b.plain(got.Enabled), b.plain(got.Target))
	}
	return err
}
