package bmctest

import (
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
)

func ref(id string) object { return object{"@odata.id": id} }

func refs(ids ...string) []object {
	out := []object{}
	for _, id := range ids {
		out = append(out, ref(id))
	}
	return out
}

func collection(kind string, ids ...string) func() object {
	return func() object {
		return object{
			"@odata.type": "#" + kind + "Collection." + kind + "Collection", "Name": kind + " collection",
			"Members@odata.count": len(ids), "Members": refs(ids...),
		}
	}
}

func (b *BMC) mediaRoot() string {
	if b.c.Quirks.MediaUnderSystems {
		return system + "/VirtualMedia"
	}
	return manager + "/VirtualMedia"
}

func (b *BMC) routes() *routes {
	media := b.mediaRoot()
	cd := media + "/Cd"
	slots := []string{media + "/Usb"}
	if !b.c.Quirks.NoCD {
		slots = append(slots, cd)
	}
	var nics, processors []string
	r := &routes{
		get: map[string]func() object{
			root:                                 b.serviceRoot,
			root + "/Systems":                    collection("ComputerSystem", system),
			root + "/Managers":                   collection("Manager", manager),
			root + "/Chassis":                    collection("Chassis", root+"/Chassis/1"),
			root + "/Chassis/1":                  b.chassis,
			system:                               b.system,
			system + "/SecureBoot":               b.secureBoot,
			manager:                              b.manager,
			media:                                collection("VirtualMedia", slots...),
			media + "/Usb":                       b.usb,
			root + "/SessionService":             b.sessionService,
			root + "/SessionService/Sessions":    collection("Session"),
			root + "/AccountService":             b.accountService,
			root + "/AccountService/Accounts":    collection("ManagerAccount", account),
			account:                              b.account,
			root + "/UpdateService":              b.updateService,
			root + "/UpdateService/Firmware":     collection("SoftwareInventory", root+"/UpdateService/Firmware/NIC"),
			root + "/UpdateService/Firmware/NIC": b.nicFirmware,
			root + "/TaskService":                b.taskService,
			root + "/TaskService/Tasks":          collection("Task"),
		},
		call: map[string]func(object) reply{
			"PATCH " + system: b.setBoot,
			"POST " + system + "/Actions/ComputerSystem.Reset": b.reset,
			"POST " + root + "/SessionService/Sessions":        b.openSession,
			"PATCH " + account: b.setPassword,
			"POST " + cd + "/Actions/VirtualMedia.InsertMedia":        b.insert,
			"POST " + cd + "/Actions/VirtualMedia.EjectMedia":         b.eject,
			"POST " + media + "/Usb/Actions/VirtualMedia.InsertMedia": b.refuseUSB,
		},
	}
	if !b.c.Quirks.NoCD {
		r.get[cd] = b.cd
	}
	for i, mac := range b.c.MACs {
		id := fmt.Sprint(i + 1)
		at := system + "/EthernetInterfaces/" + id
		nics = append(nics, at)
		r.get[at] = func() object {
			return object{
				"@odata.type": "#EthernetInterface.v1_5_1.EthernetInterface", "Id": id, "Name": "NIC " + id,
				"MACAddress": mac, "PermanentMACAddress": mac, "Status": object{"State": "Enabled", "Health": "OK"},
			}
		}
	}
	r.get[system+"/EthernetInterfaces"] = collection("EthernetInterface", nics...)
	for i := range b.c.GPUs + 1 { // the first is the CPU
		id, kind, model := fmt.Sprint("GPU", i), "GPU", "NVIDIA H100 80GB HBM3"
		if i == 0 {
			id, kind, model = "CPU1", "CPU", "Emulated CPU"
		}
		at := system + "/Processors/" + id
		processors = append(processors, at)
		r.get[at] = func() object {
			return object{
				"@odata.type": "#Processor.v1_9_0.Processor", "Id": id, "Name": id, "ProcessorType": kind,
				"Manufacturer": "Emulated", "Model": model, "SerialNumber": b.c.Serial + "-" + id,
				"Status": object{"State": "Enabled", "Health": "OK"},
			}
		}
	}
	r.get[system+"/Processors"] = collection("Processor", processors...)
	return r
}

func (b *BMC) serviceRoot() object {
	out := object{
		"@odata.type": "#ServiceRoot.v1_5_0.ServiceRoot", "Id": "RootService", "Name": "Root Service",
		"RedfishVersion": "1.6.0", "UUID": "92384634-2938-2342-8820-489239905423",
		"Systems": ref(root + "/Systems"), "Managers": ref(root + "/Managers"), "Chassis": ref(root + "/Chassis"),
		"SessionService": ref(root + "/SessionService"), "AccountService": ref(root + "/AccountService"),
		"UpdateService": ref(root + "/UpdateService"), "Tasks": ref(root + "/TaskService"),
		"Links": object{"Sessions": ref(root + "/SessionService/Sessions")},
	}
	if b.quirks.NoAccounts {
		delete(out, "AccountService")
	}
	return out
}

func (b *BMC) chassis() object {
	return object{
		"@odata.type": "#Chassis.v1_10_0.Chassis", "Id": "1", "Name": "Chassis", "ChassisType": "RackMount",
		"Links": object{"ComputerSystems": refs(system), "ManagedBy": refs(manager)},
	}
}

// shownPower is the power as the BMC shows it, which may be late.
func (b *BMC) shownPower() string {
	on := b.state.On
	if use(&b.lag) {
		on = b.lagging
	}
	if on {
		return "On"
	}
	return "Off"
}

func (b *BMC) system() object {
	out := object{
		"@odata.type": "#ComputerSystem.v1_10_0.ComputerSystem", "Id": "1", "Name": "System",
		"UUID": "38947555-7742-3448-3784-823347823834", "SystemType": "Physical",
		"Manufacturer": "Billet", "Model": "Emulated server", "SerialNumber": b.c.Serial, "BiosVersion": "U1.2",
		"PowerState": b.shownPower(), "Status": object{"State": "Enabled", "Health": "OK"},
		"Boot": object{
			"BootSourceOverrideTarget": b.state.BootTarget, "BootSourceOverrideEnabled": b.state.BootEnabled,
			"BootSourceOverrideMode":                           "UEFI",
			"BootSourceOverrideTarget@Redfish.AllowableValues": []string{"None", "Pxe", "Cd", "Hdd"},
		},
		"Processors":         ref(system + "/Processors"),
		"EthernetInterfaces": ref(system + "/EthernetInterfaces"),
		"SecureBoot":         ref(system + "/SecureBoot"),
		"Links":              object{"Chassis": refs(root + "/Chassis/1"), "ManagedBy": refs(manager)},
		"Actions": object{"#ComputerSystem.Reset": object{
			"target":                            system + "/Actions/ComputerSystem.Reset",
			"ResetType@Redfish.AllowableValues": resetTypes,
		}},
	}
	if b.c.Quirks.MediaUnderSystems {
		out["VirtualMedia"] = ref(b.mediaRoot())
	}
	return out
}

var resetTypes = []string{"On", "ForceOff", graceful, "ForceRestart", "GracefulRestart"}

func (b *BMC) secureBoot() object {
	current := "Disabled"
	if b.c.SecureBoot {
		current = "Enabled"
	}
	return object{
		"@odata.type": "#SecureBoot.v1_1_0.SecureBoot", "Id": "SecureBoot", "Name": "UEFI Secure Boot",
		"SecureBootEnable": b.c.SecureBoot, "SecureBootCurrentBoot": current, "SecureBootMode": "UserMode",
	}
}

func (b *BMC) manager() object {
	out := object{
		"@odata.type": "#Manager.v1_5_0.Manager", "Id": "1", "Name": "BMC", "ManagerType": "BMC",
		"FirmwareVersion": "2.1", "PowerState": "On", "UUID": "58893887-8974-2487-2389-841168418919",
		"Links": object{"ManagerForServers": refs(system), "ManagerForChassis": refs(root + "/Chassis/1")},
	}
	if !b.c.Quirks.MediaUnderSystems {
		out["VirtualMedia"] = ref(b.mediaRoot())
	}
	if b.quirks.ForeignLink {
		out["VirtualMedia"] = ref("http://192.0.2.1/redfish/v1/Managers/1/VirtualMedia")
	}
	return out
}

func (b *BMC) medium(id, name, image string, types ...string) object {
	at := b.mediaRoot() + "/" + id
	out := object{
		"@odata.type": "#VirtualMedia.v1_3_0.VirtualMedia", "Id": id, "Name": name, "MediaTypes": types,
		"Inserted": image != "", "WriteProtected": true, "ConnectedVia": "NotConnected", "Image": nil,
		"ImageName": nil,
		"Actions": object{
			"#VirtualMedia.InsertMedia": object{"target": at + "/Actions/VirtualMedia.InsertMedia"},
			"#VirtualMedia.EjectMedia":  object{"target": at + "/Actions/VirtualMedia.EjectMedia"},
		},
	}
	if image != "" {
		out["Image"], out["ImageName"], out["ConnectedVia"] = image, path.Base(image), "URI"
	}
	return out
}

func (b *BMC) cd() object  { return b.medium("Cd", "Virtual CD", b.state.CD, "CD", "DVD") }
func (b *BMC) usb() object { return b.medium("Usb", "Virtual USB stick", "", "USBStick") }

func (b *BMC) refuseUSB(object) reply {
	return refuse(http.StatusNotImplemented, "ActionNotSupported", "The emulator has no USB stick.")
}

func (b *BMC) sessionService() object {
	return object{
		"@odata.type": "#SessionService.v1_1_8.SessionService", "Id": "SessionService", "Name": "Sessions",
		"ServiceEnabled": !b.quirks.BasicOnly, "SessionTimeout": 1800,
		"Sessions": ref(root + "/SessionService/Sessions"),
	}
}

func (b *BMC) accountService() object {
	out := object{
		"@odata.type": "#AccountService.v1_9_0.AccountService", "Id": "AccountService", "Name": "Accounts",
		"Accounts": ref(root + "/AccountService/Accounts"), "ServiceEnabled": true,
	}
	if !b.quirks.HiddenLimits {
		out["MinPasswordLength"] = minPassword
		out["AccountLockoutThreshold"] = b.quirks.LockoutAfter
		if b.quirks.MaxPassword > 0 {
			out["MaxPasswordLength"] = b.quirks.MaxPassword
		}
	}
	return out
}

func (b *BMC) account() object {
	return object{
		"@odata.type": "#ManagerAccount.v1_8_0.ManagerAccount", "Id": "2", "Name": "Account",
		"UserName": b.c.User, "Password": nil, "RoleId": "Administrator", "Enabled": true, "Locked": b.state.Locked,
	}
}

func (b *BMC) updateService() object {
	return object{
		"@odata.type": "#UpdateService.v1_9_0.UpdateService", "Id": "UpdateService", "Name": "Updates",
		"FirmwareInventory": ref(root + "/UpdateService/Firmware"),
	}
}

func (b *BMC) nicFirmware() object {
	return object{
		"@odata.type": "#SoftwareInventory.v1_4_0.SoftwareInventory", "Id": "NIC", "Name": "NIC", "Version": "22.3",
	}
}

func (b *BMC) taskService() object {
	return object{
		"@odata.type": "#TaskService.v1_1_5.TaskService", "Id": "TaskService", "Name": "Tasks",
		"Tasks": ref(root + "/TaskService/Tasks"), "ServiceEnabled": true,
	}
}

func (b *BMC) setBoot(body object) reply {
	change, _ := body["Boot"].(map[string]any)
	if change == nil {
		return refuse(http.StatusBadRequest, "PropertyUnknown", "Only Boot can be changed.")
	}
	target, enabled := b.state.BootTarget, b.state.BootEnabled
	if v, is := change["BootSourceOverrideTarget"].(string); is {
		target = v
	}
	if v, is := change["BootSourceOverrideEnabled"].(string); is {
		enabled = v
	}
	if !slices.Contains([]string{"None", "Pxe", "Cd", "Hdd"}, target) ||
		!slices.Contains([]string{"Disabled", "Once", "Continuous"}, enabled) {
		return refuse(http.StatusBadRequest, "PropertyValueNotInList", "The boot override is not known.")
	}
	if enabled == "Once" && b.quirks.OnceIgnored {
		return done
	}
	b.state.BootTarget, b.state.BootEnabled = target, enabled
	return done
}

const graceful = "GracefulShutdown"

func (b *BMC) reset(body object) reply {
	kind, _ := body["ResetType"].(string)
	restarts := kind == "ForceRestart" || kind == "GracefulRestart"
	switch {
	case !slices.Contains(resetTypes, kind):
		return refuseParameter("ActionParameterValueNotInList", "ResetType", "The reset type is not known.")
	case restarts && !b.state.On:
		return refuse(http.StatusConflict, "ResourceInUse", "The server is off.")
	case kind == graceful && b.quirks.GracefulRefused:
		return refuse(http.StatusConflict, "ActionNotSupported", "The operating system cannot be asked.")
	}
	b.state.Resets = append(b.state.Resets, kind)
	switch {
	case kind == graceful && b.quirks.GracefulIgnored:
	case use(&b.quirks.PowerIgnored):
	case restarts:
		b.boot()
	default:
		b.power(kind == "On")
	}
	return done
}

const letters, digits = "abcdefghijklmnopqrstuvwxyz", "0123456789"

// minPassword is how many characters a password needs.
const minPassword = 6

func (b *BMC) setPassword(body object) reply {
	password, _ := body["Password"].(string)
	q := &b.quirks
	has := func(characters string) bool { return strings.ContainsAny(password, characters) }
	others := strings.Trim(password, letters+strings.ToUpper(letters)+digits)
	switch {
	case q.FixedAccounts:
		return refuse(http.StatusMethodNotAllowed, "ActionNotSupported", "Accounts cannot be changed.")
	case len(password) < minPassword:
		return refuse(http.StatusBadRequest, "PropertyValueFormatError",
			fmt.Sprintf("The value %s of Password is too short.", password))
	case q.MaxPassword > 0 && len(password) > q.MaxPassword:
		return refuse(http.StatusBadRequest, "PropertyValueFormatError",
			fmt.Sprintf("The value %s of Password is too long.", password))
	case q.StrongPassword && (!has(letters) || !has(strings.ToUpper(letters)) || !has(digits) || others == ""):
		return refuse(http.StatusBadRequest, "PropertyValueFormatError", "Password is too simple.")
	case q.PasswordIgnored:
		return done
	}
	if q.PasswordCut > 0 {
		password = password[:min(len(password), q.PasswordCut)]
	}
	b.state.Password = password
	return done
}

func (b *BMC) insert(body object) reply {
	image, _ := body["Image"].(string)
	_, hasProtocol := body["TransferProtocolType"]
	q := &b.quirks
	switch {
	case image == "" && q.EmptyImageRefused:
		return refuseParameter("ActionParameterValueFormatError", "Image", "The image is empty.")
	case image == "":
		b.state.CD = ""
		return done
	case q.InsertOnlyImage && len(body) > 1:
		return refuse(http.StatusBadRequest, "ActionParameterUnknown", "Only Image is known.")
	case q.TransferProtocolRequired && !hasProtocol:
		return refuseParameter("ActionParameterMissing", "TransferProtocolType", "TransferProtocolType is missing.")
	case q.InsertWhileInsertedRefused && b.state.CD != "":
		return refuse(http.StatusConflict, "ResourceInUse", "An image is inserted already.")
	case use(&q.InsertIgnored):
		return done
	}
	if b.c.OnInsert != nil {
		if err := b.c.OnInsert(image); err != nil {
			return refuse(http.StatusInternalServerError, "InternalError", "The image cannot be read: "+err.Error())
		}
	}
	insert := func() { b.state.CD = image }
	if q.InsertByTask == 0 && !q.TaskFails {
		insert()
		return done
	}
	b.ids++
	at := fmt.Sprint(root, "/TaskService/Tasks/", b.ids)
	b.tasks[at] = &task{reads: q.InsertByTask, do: insert, fails: q.TaskFails}
	return reply{http.StatusAccepted, map[string]string{"Location": at}, object{"@odata.id": at, "TaskState": "New"}}
}

func (b *BMC) eject(object) reply {
	switch {
	case use(&b.quirks.EjectIgnored):
	default:
		b.state.CD = ""
	}
	return done
}
