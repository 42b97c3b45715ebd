import { LogOut, UserRound } from "lucide-react";
import { Button } from "react-aria-components/Button";
import { Menu, MenuItem, MenuTrigger } from "react-aria-components/Menu";
import { Popover } from "react-aria-components/Popover";
import { useNavigate } from "react-router";

import type { Me } from "../api/types";
import { Avatar } from "../kit/Avatar";
import { useSignOut } from "./queries";
import "./sessions.css";

export function AccountMenu({ me }: { me: Me }) {
  const navigate = useNavigate();
  const signOut = useSignOut();
  return (
    <MenuTrigger>
      <Button className="avatar-button" aria-label={`Your account: ${me.name}`}>
        <Avatar name={me.name} url={me.avatar_url} />
      </Button>
      <Popover className="menu-popover" placement="bottom end" offset={6}>
        <div className="menu-head">
          <strong>{me.name}</strong>
          {me.email !== null && <span className="muted small">{me.email}</span>}
        </div>
        <Menu
          className="menu"
          aria-label="Your account"
          onAction={(key) => {
            if (key === "account") void navigate("/account");
            else signOut.mutate();
          }}
        >
          <MenuItem id="account" className="menu-item" textValue="Account">
            <UserRound className="icon" aria-hidden /> Account
          </MenuItem>
          <MenuItem id="sign-out" className="menu-item" textValue="Sign out">
            <LogOut className="icon" aria-hidden /> Sign out
          </MenuItem>
        </Menu>
      </Popover>
    </MenuTrigger>
  );
}
