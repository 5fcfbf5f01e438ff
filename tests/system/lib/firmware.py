"""Real firmware images out of Debian packages (tools/bootstrap installs them)."""

import pathlib

UBOOT = pathlib.Path("/usr/lib/u-boot")
ATH9K = pathlib.Path("/lib/firmware/ath9k_htc")

# Two boards, and a Wi-Fi stick: what the demo and the main job publish.
UBOOT_ARM = UBOOT / "qemu_arm" / "u-boot.bin"
UBOOT_ARM64 = UBOOT / "qemu_arm64" / "u-boot.bin"
UBOOT_RISCV = UBOOT / "qemu-riscv64" / "u-boot.bin"
UBOOT_MALTA = UBOOT / "maltael" / "u-boot.bin"
ATH_7010 = ATH9K / "htc_7010-1.4.0.fw"
ATH_9271 = ATH9K / "htc_9271-1.4.0.fw"
