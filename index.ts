import { deploy, loadSettings } from "./program";

export = deploy(loadSettings());
